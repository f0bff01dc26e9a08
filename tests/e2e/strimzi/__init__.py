"""A stand-in for Strimzi's operator, whose image is not available without a registry.

From Kafka, KafkaNodePool, KafkaTopic and KafkaUser objects, which Strimzi's own definitions accept, it creates a
broker, Services, Secrets, topics, users and a NetworkPolicy, with the names that Strimzi gives them. It runs one node,
and supports only the configuration that the chart writes.

    standin.py    watches the objects and reconciles them
    objects.py    the objects that follow from a Kafka object
    authority.py  its certificates
    admin.py      topics, users and access lists, by Kafka's own programs in its pod
"""
