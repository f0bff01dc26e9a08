"""PostgreSQL run by CloudNativePG: the rendered objects, whose schemas test_apiserver.py checks."""

from urllib.parse import urlsplit

from tests.chart.helm import Helm, environment, only, secret
from tests.chart.matrix import MATRIX


def test_cloudnativepg_has_a_standby_a_pooler_and_backups(helm: Helm) -> None:
    objects = helm.render("postgresql.mode=cnpg")
    cluster, pooler = only(objects, "Cluster"), only(objects, "Pooler")
    backup, login = only(objects, "ScheduledBackup"), only(objects, "Secret", "marketstream-postgresql-app")
    assert "marketstream-postgresql" not in {e["metadata"]["name"] for e in objects if e["kind"] == "StatefulSet"}
    assert cluster["spec"]["instances"] == 3
    assert cluster["spec"]["postgresql"]["synchronous"] == {"method": "any", "number": 1, "dataDurability": "required"}
    assert all(isinstance(value, str) for value in cluster["spec"]["postgresql"]["parameters"].values())
    assert cluster["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep", "its deletion deletes the data"
    assert (pooler["spec"]["pgbouncer"]["poolMode"], pooler["spec"]["type"]) == ("session", "rw")
    assert backup["spec"]["method"] == "volumeSnapshot"
    assert len(backup["spec"]["schedule"].split()) == 6
    assert {each["spec"]["cluster"]["name"] for each in (pooler, backup)} == {cluster["metadata"]["name"]}
    assert login["type"] == "kubernetes.io/basic-auth"
    assert login["metadata"]["name"] == cluster["spec"]["bootstrap"]["initdb"]["secret"]["name"]
    url = urlsplit(secret(objects, "marketstream-connection")["DATABASE_URL"])
    assert url.hostname == f"{pooler['metadata']['name']}.test.svc"
    assert url.hostname in cluster["spec"]["certificates"]["serverAltDNSNames"]
    assert url.query == "sslmode=verify-full"
    given = {"username": url.username, "password": url.password}
    assert secret(objects, "marketstream-postgresql-app") == given
    (container,) = only(objects, "Deployment", "marketstream-operator")["spec"]["template"]["spec"]["containers"]
    assert environment(container)["DATABASE_CA_SECRET"] == f"{cluster['metadata']['name']}-ca"


def test_the_log_of_cloudnativepg_goes_to_the_object_store_of_the_plugin(helm: Helm) -> None:
    objects = helm.render(*MATRIX["CloudNativePG with an object store"]["values"])
    name = "barman-cloud.cloudnative-pg.io"
    assert only(objects, "Cluster")["spec"]["plugins"] == [
        {"name": name, "isWALArchiver": True, "parameters": {"barmanObjectName": "store"}}
    ]
    assert only(objects, "ScheduledBackup")["spec"]["pluginConfiguration"] == {"name": name}
    url = urlsplit(secret(objects, "marketstream-connection")["DATABASE_URL"])
    assert url.hostname == "marketstream-postgresql-rw.test.svc"
