"""Tests of the operator against a real etcd and kube-apiserver, as controller-runtime's envtest runs them."""
