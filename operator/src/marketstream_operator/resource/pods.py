"""The types of Kubernetes' own that a spec hands on to its pods, as the API server describes them."""

from typing import Annotated, Literal

from msgspec import Meta, field

from marketstream_operator.resource.fields import Fields, about

NAME_LENGTH = 253
"""Most characters of the name of an object."""

KEY_LENGTH = 317
"""Most characters of the key of a label: a prefix of 253, a slash, a name of 63."""

Key = Annotated[str, Meta(min_length=1, max_length=KEY_LENGTH)]
Word = Annotated[str, Meta(max_length=63)]
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
"""An amount of a resource: 500m, 1, 256Mi."""


class LocalObjectReference(Fields, frozen=True):
    """Names an object of the same namespace."""

    name: Annotated[Name, about("Name of the Secret, in the namespace of this MarketStream.")]


class SecretKeyRef(Fields, frozen=True):
    """A key of a Secret."""

    name: Annotated[Name, about("Name of the Secret, in the namespace of this MarketStream.")]
    key: Annotated[ConfigKey, about("Key in the Secret whose value is taken.")]
    optional: Annotated[
        bool | None, about("Whether the pod starts without the variable when the Secret or its key is missing.")
    ] = None


class ConfigMapKeyRef(Fields, frozen=True):
    """A key of a ConfigMap."""

    name: Annotated[Name, about("Name of the ConfigMap, in the namespace of this MarketStream.")]
    key: Annotated[ConfigKey, about("Key in the ConfigMap whose value is taken.")]
    optional: Annotated[
        bool | None, about("Whether the pod starts without the variable when the ConfigMap or its key is missing.")
    ] = None


class FieldRef(Fields, frozen=True):
    """A field of the pod."""

    field_path: Annotated[
        Annotated[str, Meta(min_length=1, max_length=512)],
        about("Path of the field in the pod: metadata.name, metadata.labels['<key>'], spec.nodeName, status.podIP."),
    ]
    api_version: Annotated[Word | None, about("Version of the schema that the path is written in; v1 by default.")] = (
        None
    )


class ResourceFieldRef(Fields, frozen=True):
    """A resource of a container."""

    resource: Annotated[
        Annotated[str, Meta(min_length=1, max_length=NAME_LENGTH)],
        about("Resource whose amount is taken: limits.cpu, limits.memory, requests.cpu, requests.memory."),
    ]
    container_name: Annotated[Word | None, about("Container whose resource is taken; this one by default.")] = None
    divisor: Annotated[Quantity | None, about("Unit in which the amount is given, as 1Mi; 1 by default.")] = None


class EnvVarSource(Fields, frozen=True):
    """Where a variable's value comes from: exactly one of them."""

    secret_key_ref: Annotated[SecretKeyRef | None, about("The value is that of a key in a Secret.")] = None
    config_map_key_ref: Annotated[ConfigMapKeyRef | None, about("The value is that of a key in a ConfigMap.")] = None
    field_ref: Annotated[FieldRef | None, about("The value is that of a field of the pod.")] = None
    resource_field_ref: Annotated[
        ResourceFieldRef | None, about("The value is the amount of a resource that the container requests or may use.")
    ] = None


class EnvVar(Fields, frozen=True):
    """A variable of the container's environment."""

    name: Annotated[
        Annotated[str, Meta(min_length=1, max_length=NAME_LENGTH, pattern="^[-._a-zA-Z][-._a-zA-Z0-9]*$")],
        about("Name of the variable. A name that the operator or the connection Secret sets is refused."),
    ]
    value: Annotated[
        Annotated[str, Meta(max_length=32_768)] | None,
        about("Its value. $(NAME) stands for a variable that is defined before it. Excludes valueFrom."),
    ] = None
    value_from: Annotated[EnvVarSource | None, about("Where its value comes from. Excludes value.")] = None


class ResourceRequirements(Fields, frozen=True):
    """What a container asks of its node, and the most that it may use."""

    requests: Annotated[
        dict[str, Quantity],
        about("What is reserved for the container: cpu, memory, ephemeral-storage.", max_length=16),
    ] = field(default_factory=dict)
    limits: Annotated[
        dict[str, Quantity],
        about("The most that the container may use: cpu, memory, ephemeral-storage.", max_length=16),
    ] = field(default_factory=dict)


class Toleration(Fields, frozen=True):
    """Lets pods run on nodes that have the taint it matches."""

    key: Annotated[Key | None, about("Key of the taint; without one, every taint matches and operator is Exists.")] = (
        None
    )
    operator: Annotated[
        Literal["Equal", "Exists"] | None,
        about("Whether the taint's value is compared (Equal, which is the default) or any will do (Exists)."),
    ] = None
    value: Annotated[Word | None, about("Value of the taint when the operator is Equal.")] = None
    effect: Annotated[
        Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None,
        about("Effect of the taint; without one, every effect matches."),
    ] = None
    toleration_seconds: Annotated[
        Annotated[int, Meta(extra_json_schema={"format": "int64"})] | None,
        about("Seconds for which a NoExecute taint is tolerated; for ever by default."),
    ] = None


class LabelExpression(Fields, frozen=True):
    """A condition on the labels of pods or namespaces."""

    key: Annotated[Key, about("Key of the label.")]
    operator: Annotated[Literal["In", "NotIn", "Exists", "DoesNotExist"], about("How the label relates to the values.")]
    values: Annotated[
        tuple[LabelValue, ...],
        about("Values for In and NotIn; none for Exists and DoesNotExist.", listed="atomic", max_length=100),
    ] = ()


class LabelSelector(Fields, frozen=True):
    """Selects objects by their labels; an empty one selects all."""

    match_labels: Annotated[
        dict[str, LabelValue], about("Labels that an object must have, all of them.", max_length=50)
    ] = field(default_factory=dict)
    match_expressions: Annotated[
        tuple[LabelExpression, ...],
        about("Conditions that an object's labels must meet, all of them.", listed="atomic", max_length=50),
    ] = ()


MATCH_LABEL_KEYS = (
    "Keys of labels whose values are taken from the new pod and added to labelSelector, as pod-template-hash to "
    "tell the pods of one rollout from those before."
)


class TopologySpreadConstraint(Fields, frozen=True):
    """How pods are spread over zones, nodes or other domains."""

    max_skew: Annotated[
        Annotated[int, Meta(ge=1, le=100_000)],
        about("By how many pods a domain may exceed the one with the fewest."),
    ]
    topology_key: Annotated[
        Key, about("Label of nodes whose values are the domains: topology.kubernetes.io/zone, kubernetes.io/hostname.")
    ]
    when_unsatisfiable: Annotated[
        Literal["DoNotSchedule", "ScheduleAnyway"],
        about("What happens to a pod that fits nowhere: it waits (DoNotSchedule), or runs all the same."),
    ]
    label_selector: Annotated[
        LabelSelector | None,
        about("Pods that are counted. The labels of MarketStream's pods are app.kubernetes.io/… and marketstream.io/…"),
    ] = None
    match_label_keys: Annotated[tuple[Key, ...], about(MATCH_LABEL_KEYS, listed="atomic", max_length=20)] = ()
    min_domains: Annotated[
        Annotated[int, Meta(ge=1, le=100_000)] | None,
        about("Fewer domains than this count as if one of them were empty; only with DoNotSchedule."),
    ] = None
    node_affinity_policy: Annotated[
        Literal["Honor", "Ignore"] | None,
        about("Whether only nodes that fit nodeSelector and affinity are counted (Honor, the default) or all."),
    ] = None
    node_taints_policy: Annotated[
        Literal["Honor", "Ignore"] | None,
        about(
            "Whether nodes with taints that are not tolerated are left out (Honor) or counted (Ignore, the default)."
        ),
    ] = None
