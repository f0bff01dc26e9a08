"""Stands in for Strimzi's operator, which needs a registry: it makes of Kafka, KafkaNodePool, KafkaTopic and KafkaUser
objects, accepted by Strimzi's own definitions, a broker, Services, Secrets, topics, users and a NetworkPolicy under the
names that Strimzi gives them. It runs one node, and knows no more of the configuration than the chart writes.

    standin.py    looks at the objects and sees to them
    objects.py    what becomes of a Kafka object
    authority.py  its certificates
    admin.py      topics, users and access lists, by Kafka's own programs in its pod
"""
