"""Affinity, as Kubernetes defines it: nodes and other pods to run near or to keep away from."""

from typing import Annotated, Literal

from msgspec import Meta

from marketstream_operator.resource.fields import Fields, about
from marketstream_operator.resource.pods import MATCH_LABEL_KEYS, Key, LabelSelector, LabelText

Weight = Annotated[int, Meta(ge=1, le=100)]

_REQUIRED_NODES = "Nodes on which the pods may run. A running pod stays when the labels of its node change."
_PREFERRED_NODES = "Nodes on which the pods should run. The higher the sum of weights of matching terms, the better."
_REQUIRED_NEAR = "Pods near which the pods must run. Every term must be met."
_PREFERRED_NEAR = "Pods near which the pods should run. The higher the sum of weights of matching terms, the better."
_REQUIRED_AWAY = "Pods near which the pods must not run. No term may be met."
_PREFERRED_AWAY = "Pods near which the pods should not run. The higher the sum of weights of matching terms, the worse."


class NodeExpression(Fields, frozen=True):
    """A condition on a label or field of a node."""

    key: Annotated[Key, about("Key of a label of the node, or the field metadata.name.")]
    operator: Annotated[
        Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"], about("Relation of the label to the values.")
    ]
    values: Annotated[
        tuple[Annotated[str, Meta(max_length=253)], ...],
        about(
            "Values for In and NotIn, one whole number for Gt and Lt, none for Exists and DoesNotExist.",
            listed="atomic",
            max_length=100,
        ),
    ] = ()


class NodeSelectorTerm(Fields, frozen=True):
    """Conditions on a node, all of which must be met. No node meets an empty term."""

    match_expressions: Annotated[
        tuple[NodeExpression, ...],
        about("Conditions on the labels of the node.", listed="atomic", max_length=50),
    ] = ()
    match_fields: Annotated[
        tuple[NodeExpression, ...],
        about("Conditions on the fields of the node.", listed="atomic", max_length=50),
    ] = ()


class NodeSelector(Fields, frozen=True):
    """A selection of nodes."""

    node_selector_terms: Annotated[
        tuple[NodeSelectorTerm, ...],
        about("Terms, of which a node must meet at least one.", listed="atomic", min_length=1, max_length=20),
    ]


class PreferredNode(Fields, frozen=True):
    """Preferred nodes and their weight."""

    weight: Annotated[Weight, about("Weight of the preference, 1 to 100.")]
    preference: Annotated[NodeSelectorTerm, about("The preferred nodes.")]


class NodeAffinity(Fields, frozen=True):
    """Required and preferred nodes."""

    required_during_scheduling_ignored_during_execution: Annotated[NodeSelector | None, about(_REQUIRED_NODES)] = None
    preferred_during_scheduling_ignored_during_execution: Annotated[
        tuple[PreferredNode, ...], about(_PREFERRED_NODES, listed="atomic", max_length=20)
    ] = ()


class PodAffinityTerm(Fields, frozen=True):
    """A selection of pods, and the domain in which a pod counts as near them."""

    topology_key: Annotated[
        Key,
        about("Label of nodes, such as kubernetes.io/hostname. Nodes with the same value are near each other."),
    ]
    label_selector: Annotated[
        LabelSelector | None,
        about(
            "The pods, by their labels. The pods of MarketStreams have labels that begin with app.kubernetes.io/ or "
            "marketstream.io/."
        ),
    ] = None
    namespaces: Annotated[
        tuple[LabelText, ...],
        about("Namespaces of these pods. Defaults to that of the MarketStream, unless namespaceSelector is set.",
              listed="atomic", max_length=50),
    ] = ()  # fmt: skip
    namespace_selector: Annotated[
        LabelSelector | None,
        about("Namespaces of these pods, by their labels. An empty selector selects all."),
    ] = None
    match_label_keys: Annotated[tuple[Key, ...], about(MATCH_LABEL_KEYS, listed="atomic", max_length=20)] = ()
    mismatch_label_keys: Annotated[
        tuple[Key, ...],
        about(
            "Keys of labels whose values in the selected pods must differ from those of the new pod.",
            listed="atomic",
            max_length=20,
        ),
    ] = ()


class WeightedPodAffinityTerm(Fields, frozen=True):
    """Pods to run near or to keep away from, and their weight."""

    weight: Annotated[Weight, about("Weight of the term, 1 to 100.")]
    pod_affinity_term: Annotated[PodAffinityTerm, about("The pods to run near or to keep away from.")]


class PodAffinity(Fields, frozen=True):
    """Pods to run near."""

    required_during_scheduling_ignored_during_execution: Annotated[
        tuple[PodAffinityTerm, ...], about(_REQUIRED_NEAR, listed="atomic", max_length=20)
    ] = ()
    preferred_during_scheduling_ignored_during_execution: Annotated[
        tuple[WeightedPodAffinityTerm, ...], about(_PREFERRED_NEAR, listed="atomic", max_length=20)
    ] = ()


class PodAntiAffinity(Fields, frozen=True):
    """Pods to keep away from."""

    required_during_scheduling_ignored_during_execution: Annotated[
        tuple[PodAffinityTerm, ...], about(_REQUIRED_AWAY, listed="atomic", max_length=20)
    ] = ()
    preferred_during_scheduling_ignored_during_execution: Annotated[
        tuple[WeightedPodAffinityTerm, ...], about(_PREFERRED_AWAY, listed="atomic", max_length=20)
    ] = ()


class Affinity(Fields, frozen=True):
    """Nodes on which pods may or should run, and other pods to run near or to keep away from."""

    node_affinity: Annotated[NodeAffinity | None, about("Nodes on which the pods must or should run.")] = None
    pod_affinity: Annotated[PodAffinity | None, about("Other pods to run near.")] = None
    pod_anti_affinity: Annotated[PodAntiAffinity | None, about("Other pods to keep away from.")] = None
