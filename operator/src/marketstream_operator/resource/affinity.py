"""Kubernetes' affinity: which nodes pods are drawn to, and which other pods they seek or avoid."""

from typing import Annotated, Literal

from msgspec import Meta

from marketstream_operator.resource.fields import Fields, about
from marketstream_operator.resource.pods import MATCH_LABEL_KEYS, Key, LabelSelector, Word

Weight = Annotated[int, Meta(ge=1, le=100)]

_REQUIRED_NODES = "Nodes on which the pods may run at all. A pod that already runs stays when its node's labels change."
_PREFERRED_NODES = "Nodes on which the pods run rather than elsewhere: those whose weights add up to the most."
_REQUIRED_NEAR = "Pods beside which the pods must run: each of the terms must be met."
_PREFERRED_NEAR = "Pods beside which the pods run rather than elsewhere: where the weights add up to the most."
_REQUIRED_AWAY = "Pods beside which the pods must not run: none of the terms may be met."
_PREFERRED_AWAY = "Pods beside which the pods run only when they must: where the weights add up to the least."


class NodeExpression(Fields, frozen=True):
    """A condition on a node."""

    key: Annotated[Key, about("Key of the node's label, or the field metadata.name.")]
    operator: Annotated[
        Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"], about("How the label relates to the values.")
    ]
    values: Annotated[
        tuple[Annotated[str, Meta(max_length=253)], ...],
        about(
            "Values for In and NotIn; a whole number for Gt and Lt; none for Exists and DoesNotExist.",
            listed="atomic",
            max_length=100,
        ),
    ] = ()


class NodeSelectorTerm(Fields, frozen=True):
    """Conditions on a node, all of which must be met; an empty term is met by no node."""

    match_expressions: Annotated[
        tuple[NodeExpression, ...],
        about("Conditions on the node's labels.", listed="atomic", max_length=50),
    ] = ()
    match_fields: Annotated[
        tuple[NodeExpression, ...],
        about("Conditions on the node's fields.", listed="atomic", max_length=50),
    ] = ()


class NodeSelector(Fields, frozen=True):
    """Selects nodes."""

    node_selector_terms: Annotated[
        tuple[NodeSelectorTerm, ...],
        about("Terms of which a node must meet one.", listed="atomic", min_length=1, max_length=20),
    ]


class PreferredNode(Fields, frozen=True):
    """Nodes that are preferred, and how much."""

    weight: Annotated[Weight, about("How much these nodes are preferred, 1 to 100.")]
    preference: Annotated[NodeSelectorTerm, about("The nodes that are preferred.")]


class NodeAffinity(Fields, frozen=True):
    """The nodes that pods are drawn to."""

    required_during_scheduling_ignored_during_execution: Annotated[NodeSelector | None, about(_REQUIRED_NODES)] = None
    preferred_during_scheduling_ignored_during_execution: Annotated[
        tuple[PreferredNode, ...], about(_PREFERRED_NODES, listed="atomic", max_length=20)
    ] = ()


class PodAffinityTerm(Fields, frozen=True):
    """Pods, and what beside them means."""

    topology_key: Annotated[
        Key,
        about("Label of nodes: beside a pod is on a node with the same value of it, as kubernetes.io/hostname."),
    ]
    label_selector: Annotated[
        LabelSelector | None,
        about("The pods. The labels of MarketStream's pods are app.kubernetes.io/… and marketstream.io/…"),
    ] = None
    namespaces: Annotated[
        tuple[Word, ...],
        about("Namespaces of these pods; without any, and without namespaceSelector, this one.", listed="atomic",
              max_length=50),
    ] = ()  # fmt: skip
    namespace_selector: Annotated[
        LabelSelector | None, about("Namespaces of these pods by their labels; an empty selector selects all.")
    ] = None
    match_label_keys: Annotated[tuple[Key, ...], about(MATCH_LABEL_KEYS, listed="atomic", max_length=20)] = ()
    mismatch_label_keys: Annotated[
        tuple[Key, ...],
        about("Keys of labels in which those pods must differ from the new one.", listed="atomic", max_length=20),
    ] = ()


class WeightedPodAffinityTerm(Fields, frozen=True):
    """Pods that are sought or avoided, and how much."""

    weight: Annotated[Weight, about("How much it counts, 1 to 100.")]
    pod_affinity_term: Annotated[PodAffinityTerm, about("The pods that are sought or avoided.")]


class PodAffinity(Fields, frozen=True):
    """The pods that pods seek."""

    required_during_scheduling_ignored_during_execution: Annotated[
        tuple[PodAffinityTerm, ...], about(_REQUIRED_NEAR, listed="atomic", max_length=20)
    ] = ()
    preferred_during_scheduling_ignored_during_execution: Annotated[
        tuple[WeightedPodAffinityTerm, ...], about(_PREFERRED_NEAR, listed="atomic", max_length=20)
    ] = ()


class PodAntiAffinity(Fields, frozen=True):
    """The pods that pods avoid."""

    required_during_scheduling_ignored_during_execution: Annotated[
        tuple[PodAffinityTerm, ...], about(_REQUIRED_AWAY, listed="atomic", max_length=20)
    ] = ()
    preferred_during_scheduling_ignored_during_execution: Annotated[
        tuple[WeightedPodAffinityTerm, ...], about(_PREFERRED_AWAY, listed="atomic", max_length=20)
    ] = ()


class Affinity(Fields, frozen=True):
    """Where pods may run, and where they should."""

    node_affinity: Annotated[NodeAffinity | None, about("Nodes that the pods are drawn to.")] = None
    pod_affinity: Annotated[PodAffinity | None, about("Other pods beside which the pods run.")] = None
    pod_anti_affinity: Annotated[PodAntiAffinity | None, about("Other pods that the pods keep away from.")] = None
