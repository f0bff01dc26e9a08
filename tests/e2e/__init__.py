"""The platform in a real cluster: `make e2e`, in the current kube context, which must be a local one.

test_platform.py  a whole life: install, stream, dashboard, changes, kills, pause, upgrade, uninstall
test_strimzi.py   a short one with kafka.mode=strimzi; strimzi/ is a stand-in for Strimzi's operator
local.py          the local contexts, and the commands that load an image into their nodes
images.py         the images of this checkout
kube.py           kubectl, helm and port-forwards
outside.py        the exchange and a Kafka, as pods of another namespace
stranger.py       a pod that tries to reach the release's servers
platform.py       the release, its MarketStream and its database
truth.py          the trades that the exchange has sent, and the candles that must follow from them
evidence.py       logs, events and pods of a failure
"""
