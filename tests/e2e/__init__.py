"""The platform in a real cluster: `make e2e`, against the current kube context when that is a local one.

test_platform.py  the whole story: install, stream, look, change, kill, pause, upgrade, uninstall
test_strimzi.py   a short one with kafka.mode=strimzi, and strimzi/ which stands in for Strimzi's operator
local.py          which contexts are local, and how an image gets to their nodes
images.py         the images of this checkout
kube.py           kubectl, helm and port-forwards
outside.py        what is not ours: the exchange and a Kafka, as pods of another namespace
platform.py       the release, its MarketStream and its database
truth.py          what the exchange has sent, and whether every candle says so
evidence.py       what is kept of a failure
"""
