"""Conditions about changes under way, for people and for tools that wait: kstatus, and with it Helm, Flux and Argo CD.

kstatus reads Reconciling and Stalled of any object: a stream that is neither, and Ready, is as it should be.
"""

from typing import Final

from marketstream_operator.cluster.projections import OTHER_OPERATOR
from marketstream_operator.reconcile.findings import Findings, Found, Verdict, number, some

MOST_ORPHANS: Final = 10
"""Maximum number of Deployments that a message names."""


def stalled(findings: Findings, spec: Found) -> Found:
    """Return the condition Stalled: True if nothing gets better unless a person acts."""
    if findings.other_operator:
        return Found("Stalled", "True", OTHER_OPERATOR, findings.other_operator)
    if spec.status == "False":
        return Found("Stalled", "True", spec.reason, spec.message)
    if findings.orphans:
        return hand_over("Stalled", "True", findings)
    return Found("Stalled", "False", "AsExpected", "nobody needs to act for the stream to become ready")


def reconciling(ready: Found, progressing: Found, stalled: Found) -> Found:
    """Return the condition Reconciling: True while the stream is not as it should be, and waiting may help."""
    if stalled.status != "True":
        for found in (progressing, ready):
            if found.status != ("False" if found is progressing else "True"):
                return Found("Reconciling", "True", found.reason, found.message)
    return Found("Reconciling", "False", "Settled", "no change is under way")


def progressing(findings: Findings) -> Found:
    """Return the condition Progressing."""
    rolling = sum(not child.is_settled for child in findings.live)
    if findings.other_operator:
        return Found("Progressing", "False", OTHER_OPERATOR, "this operator changes nothing")
    if findings.pause.reason == "Draining":
        return Found("Progressing", "True", "Draining", findings.pause.message)
    if findings.is_waiting:
        return waiting_for_secret("Progressing", "True", findings)
    if findings.handed_over:
        return hand_over("Progressing", "False" if findings.orphans else "True", findings)
    if findings.waiting:
        return Found(
            "Progressing",
            "True",
            "WaitingForTurn",
            f"{number(findings.waiting, 'pair')} waiting for other pairs to roll",
        )
    if rolling:
        return Found("Progressing", "True", "RollingOut", f"{number(rolling, 'Deployment')} still rolling out")
    if findings.error is not None:
        return Found("Progressing", "False", "Settled", "nothing changes until the spec is valid")
    return Found("Progressing", "False", "Settled", "the Deployments match the spec")


def hand_over(kind: str, status: Verdict, findings: Findings) -> Found:
    """Return a condition about symbols that something else still runs."""
    if not findings.orphans:
        message = f"waiting for the pods of another MarketStream to stop running {some(findings.handed_over)}"
        return Found(kind, status, "HandOver", message)
    namespace = findings.orphans[0].namespace
    named = [orphan.name for orphan in findings.orphans if orphan.namespace == namespace][:MOST_ORPHANS]
    others = len(findings.orphans) - len(named)
    more = f" and {number(others, 'other Deployment')}" if others else ""
    return Found(
        kind, status, "Orphaned",
        f"Deployments without a MarketStream still run {some(findings.handed_over)}: delete them"
        f"{more}, if nobody needs them: kubectl -n {namespace} delete deployments {' '.join(named)}",
    )  # fmt: skip


def waiting_for_secret(kind: str, status: Verdict, findings: Findings) -> Found:
    """Return a condition about a Secret that somebody else is still creating."""
    return Found(kind, status, "WaitingForSecret", findings.error.message if findings.error is not None else "")
