"""The observed state of the cluster, when observations come late or contradict each other."""

from marketstream_operator.cluster.observed import Observed
from marketstream_operator.kinds import DEPLOYMENT, POD

from tests.unit.operator.cluster.raw import BTC, NEW, OLD, child, projection


def test_an_older_sight_does_not_replace_a_newer_one_even_of_another_object_of_that_name() -> None:
    observed = Observed()
    assert observed.see(DEPLOYMENT, projection(DEPLOYMENT, child(uid="2", version=9)))
    assert not observed.see(DEPLOYMENT, projection(DEPLOYMENT, child(uid="1", version=8)))
    assert [each.uid for each in observed.deployments(OLD)] == ["2"]


def test_an_object_whose_label_names_another_stream_is_no_longer_of_the_first() -> None:
    observed = Observed()
    observed.see(POD, projection(POD, child()))
    assert observed.see(POD, projection(POD, child(of="new", version=2))) == {OLD, NEW}
    assert (observed.pods(OLD), len(observed.pods(NEW))) == ([], 1)
    assert observed.runners_beside(OLD, BTC) == {NEW}
    assert observed.lose(POD, "markets", "pod", "1") is not None
    assert observed.runners_beside(OLD, BTC) == set()
