"""Options of the chart for certain clusters: a Gateway, OpenShift, constraints of the topology, metrics of Kafka."""

from marketstream_operator.settings import OperatorSettings

from tests.chart.helm import Helm, environment, only, pod_templates


def test_the_api_is_reached_by_a_gateway(helm: Helm) -> None:
    given = ("api.httpRoute.enabled=true", "api.httpRoute.parentRefs[0].name=gateway", "api.service.port=80")
    for values, path in ((given, "/"), ((*given, "api.rootPath=/ms"), "/ms")):
        objects = helm.render(*values)
        route, service = only(objects, "HTTPRoute")["spec"], only(objects, "Service", "marketstream-api")
        assert route["parentRefs"] == [{"name": "gateway"}]
        (rule,) = route["rules"]
        assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": path}}]
        (port,) = service["spec"]["ports"]
        assert rule["backendRefs"] == [{"name": service["metadata"]["name"], "port": port["port"]}]


def test_ids_are_left_to_openshift(helm: Helm) -> None:
    for values, expected in (((), {10001, 999}), (("security.fixedUserIds=false",), {None})):
        objects = helm.render(*values)
        contexts = [template["spec"]["securityContext"] for template in pod_templates(objects).values()]
        for field in ("runAsUser", "runAsGroup", "fsGroup"):
            assert {context.get(field) for context in contexts} == expected
        assert all(context["runAsNonRoot"] for context in contexts)
        (container,) = only(objects, "Deployment", "marketstream-operator")["spec"]["template"]["spec"]["containers"]
        assert OperatorSettings.from_environment(environment(container)).fixed_user_ids is not bool(values)


def test_constraints_select_the_pods_that_they_spread(helm: Helm) -> None:
    given = ("topologyKey=zone", "maxSkew=1", "whenUnsatisfiable=DoNotSchedule")
    values = [f"{each}.topologySpreadConstraints[0].{field}" for each in ("api", "kafka.strimzi") for field in given]
    other = "operator.topologySpreadConstraints[0]"
    own = [*(f"{other}.{field}" for field in given), f"{other}.labelSelector.matchLabels.a=b"]
    objects = helm.render(*values, *own, "kafka.strimzi.replicas=3")
    templates = pod_templates(objects) | {"kafka": {"spec": only(objects, "KafkaNodePool")["spec"]["template"]["pod"]}}
    found = {}
    for name in ("marketstream-api", "marketstream-operator", "kafka"):
        (constraint,) = templates[name]["spec"]["topologySpreadConstraints"]
        assert constraint["topologyKey"] == "zone"
        found[name] = constraint["labelSelector"]["matchLabels"]
    assert found["marketstream-api"].items() <= templates["marketstream-api"]["metadata"]["labels"].items()
    assert found["marketstream-operator"] == {"a": "b"}
    assert found["kafka"] == {"strimzi.io/cluster": "marketstream", "strimzi.io/pool-name": "kafka"}


def test_the_metrics_of_kafka_are_scraped(helm: Helm) -> None:
    on = ("kafka.strimzi.metrics.enabled=true", "metrics.podMonitor.enabled=true")
    objects = helm.render(*on)
    assert only(objects, "Kafka")["spec"]["kafka"]["metricsConfig"] == {"type": "strimziMetricsReporter"}
    monitor = only(objects, "PodMonitor", "marketstream-kafka")["spec"]
    assert monitor["selector"] == {"matchLabels": {"strimzi.io/cluster": "marketstream", "strimzi.io/kind": "Kafka"}}
    assert [each["port"] for each in monitor["podMetricsEndpoints"]] == ["tcp-prometheus"]
    for values in (on[:1], on[1:]):
        assert "marketstream-kafka" not in {each["metadata"]["name"] for each in helm.render(*values)}
