"""Kubernetes' own types that a spec passes on to its pods, with the limits of the API server."""

from typing import Annotated, Literal

from msgspec import Meta, field

from marketstream_operator.resource.fields import Fields, about

NAME_LENGTH = 253
"""Maximum characters of the name of an object."""

KEY_LENGTH = 317
"""Maximum characters of the key of a label: a prefix of 253, a slash, a name of 63."""

Key = Annotated[str, Meta(min_length=1, max_length=KEY_LENGTH)]
LabelText = Annotated[str, Meta(max_length=63)]
LabelValue = Annotated[str, Meta(max_length=63, pattern="^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")]
Name = Annotated[str, Meta(min_length=1, max_length=NAME_LENGTH)]
ConfigKey = Annotated[str, Meta(min_length=1, max_length=NAME_LENGTH, pattern="^[-._a-zA-Z0-9]+$")]

Quantity = (
    Annotated[int, Meta(ge=0)]
    | Annotated[
        str,
        Meta(
            min_length=1,
            max_length=32,
            pattern=r"^\+?([0-9]+(\.[0-9]*)?|\.[0-9]+)(([KMGTPE]i)|[numkMGTPE]|([eE][-+]?[0-9]+))?$",
        ),
    ]
)
"""An amount of a resource, such as 500m, 1 or 256Mi."""


class LocalObjectReference(Fields, frozen=True):
    """A reference to an object in the same namespace."""

    name: Annotated[Name, about("Name of the Secret, in the namespace of this MarketStream.")]


class SecretKeyRef(Fields, frozen=True):
    """A key of a Secret."""

    name: Annotated[Name, about("Name of the Secret, in the namespace of this MarketStream.")]
    key: Annotated[ConfigKey, about("Key in the Secret whose value is taken.")]
    optional: Annotated[
        bool | None, about("If true, the pod starts without the variable when the Secret or its key is missing.")
    ] = None


class ConfigMapKeyRef(Fields, frozen=True):
    """A key of a ConfigMap."""

    name: Annotated[Name, about("Name of the ConfigMap, in the namespace of this MarketStream.")]
    key: Annotated[ConfigKey, about("Key in the ConfigMap whose value is taken.")]
    optional: Annotated[
        bool | None, about("If true, the pod starts without the variable when the ConfigMap or its key is missing.")
    ] = None


class FieldRef(Fields, frozen=True):
    """A field of the pod."""

    field_path: Annotated[
        Annotated[str, Meta(min_length=1, max_length=512)],
        about("Path of the field, such as metadata.name, metadata.labels['<key>'], spec.nodeName or status.podIP."),
    ]
    api_version: Annotated[
        LabelText | None, about("Version of the schema to which the path belongs. Defaults to v1.")
    ] = None


class ResourceFieldRef(Fields, frozen=True):
    """An amount of a resource that a container requests or may use."""

    resource: Annotated[
        Annotated[str, Meta(min_length=1, max_length=NAME_LENGTH)],
        about("The resource: limits.cpu, limits.memory, requests.cpu or requests.memory."),
    ]
    container_name: Annotated[
        LabelText | None, about("Container whose amount is taken. Defaults to this container.")
    ] = None
    divisor: Annotated[Quantity | None, about("Unit of the amount, such as 1Mi. Defaults to 1.")] = None


class EnvVarSource(Fields, frozen=True):
    """The source of the value of a variable: exactly one of the fields is set."""

    secret_key_ref: Annotated[SecretKeyRef | None, about("Take the value of a key in a Secret.")] = None
    config_map_key_ref: Annotated[ConfigMapKeyRef | None, about("Take the value of a key in a ConfigMap.")] = None
    field_ref: Annotated[FieldRef | None, about("Take the value of a field of the pod.")] = None
    resource_field_ref: Annotated[
        ResourceFieldRef | None, about("Take the amount of a resource that the container requests or may use.")
    ] = None


class EnvVar(Fields, frozen=True):
    """A variable of the container's environment."""

    name: Annotated[
        Annotated[str, Meta(min_length=1, max_length=NAME_LENGTH, pattern="^[-._a-zA-Z][-._a-zA-Z0-9]*$")],
        about("Name of the variable. MarketStream's own settings are rejected, but for those that env lists."),
    ]
    value: Annotated[
        Annotated[str, Meta(max_length=32_768)] | None,
        about("Value of the variable. $(NAME) refers to a variable defined before it. Excludes valueFrom."),
    ] = None
    value_from: Annotated[EnvVarSource | None, about("Source of the value. Excludes value.")] = None


class ResourceRequirements(Fields, frozen=True):
    """The resources that a container requests from its node, and the most that the container may use."""

    requests: Annotated[
        dict[str, Quantity],
        about("Resources reserved for the container: cpu, memory, ephemeral-storage.", max_length=16),
    ] = field(default_factory=dict)
    limits: Annotated[
        dict[str, Quantity],
        about("Maximum that the container may use: cpu, memory, ephemeral-storage.", max_length=16),
    ] = field(default_factory=dict)


class Toleration(Fields, frozen=True):
    """A permission for pods to run on nodes with the taints that match."""

    key: Annotated[
        Key | None, about("Key of the taint. Without a key, operator must be Exists: every taint matches.")
    ] = None
    operator: Annotated[
        Literal["Equal", "Exists"] | None,
        about("Equal (the default) compares the value of the taint; Exists accepts any value."),
    ] = None
    value: Annotated[LabelText | None, about("Value of the taint, if operator is Equal.")] = None
    effect: Annotated[
        Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None,
        about("Effect of the taint. Without an effect, every effect matches."),
    ] = None
    toleration_seconds: Annotated[
        Annotated[int, Meta(extra_json_schema={"format": "int64"})] | None,
        about("Seconds for which a NoExecute taint is tolerated. Tolerated without limit if not set."),
    ] = None


class LabelExpression(Fields, frozen=True):
    """A condition on the labels of pods or namespaces."""

    key: Annotated[Key, about("Key of the label.")]
    operator: Annotated[Literal["In", "NotIn", "Exists", "DoesNotExist"], about("Relation of the label to the values.")]
    values: Annotated[
        tuple[LabelValue, ...],
        about("Values for In and NotIn, none for Exists and DoesNotExist.", listed="atomic", max_length=100),
    ] = ()


class LabelSelector(Fields, frozen=True):
    """A selection of objects by their labels. An empty selector selects all objects."""

    match_labels: Annotated[
        dict[str, LabelValue], about("Labels that an object must have. All must match.", max_length=50)
    ] = field(default_factory=dict)
    match_expressions: Annotated[
        tuple[LabelExpression, ...],
        about("Conditions on the labels of an object. All must be met.", listed="atomic", max_length=50),
    ] = ()


MATCH_LABEL_KEYS = (
    "Keys of labels whose values are taken from the new pod and added to labelSelector, such as pod-template-hash "
    "to select only the pods of the same rollout."
)


class TopologySpreadConstraint(Fields, frozen=True):
    """A rule that spreads pods over zones, nodes or other domains."""

    max_skew: Annotated[
        Annotated[int, Meta(ge=1, le=100_000)],
        about("Maximum difference between the number of pods in a domain and the number in the emptiest domain."),
    ]
    topology_key: Annotated[
        Key, about("Label of nodes whose values are the domains, such as topology.kubernetes.io/zone.")
    ]
    when_unsatisfiable: Annotated[
        Literal["DoNotSchedule", "ScheduleAnyway"],
        about("Treatment of a pod that fits nowhere: DoNotSchedule leaves it pending, ScheduleAnyway runs it anyway."),
    ]
    label_selector: Annotated[
        LabelSelector | None,
        about("Pods to count. Labels of the pods of MarketStreams begin with app.kubernetes.io/ or marketstream.io/."),
    ] = None
    match_label_keys: Annotated[tuple[Key, ...], about(MATCH_LABEL_KEYS, listed="atomic", max_length=20)] = ()
    min_domains: Annotated[
        Annotated[int, Meta(ge=1, le=100_000)] | None,
        about("Minimum number of domains. With fewer, maxSkew is counted from 0 pods. Only with DoNotSchedule."),
    ] = None
    node_affinity_policy: Annotated[
        Literal["Honor", "Ignore"] | None,
        about("Honor (the default) counts only nodes that match nodeSelector and affinity; Ignore counts all nodes."),
    ] = None
    node_taints_policy: Annotated[
        Literal["Honor", "Ignore"] | None,
        about("Honor leaves out nodes with taints that are not tolerated; Ignore (the default) counts them as well."),
    ] = None
