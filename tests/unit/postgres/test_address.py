"""DATABASE_URL as hosting providers hand it out."""

import shutil
import ssl
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from marketstream.postgres.address import Address, address_of
from marketstream.settings import SettingsError
from structlog.testing import capture_logs

from tests.harness.needs import unavailable

URL = "postgresql://user:p%40ss@db.example:6543/market"


def read(query: str, url: str = URL) -> Address:
    return address_of(f"{url}?{query}" if query else url, 5.0)


def kept(address: Address) -> dict[str, list[str]]:
    return parse_qs(urlsplit(address.url).query)


def test_a_plain_url_is_unchanged() -> None:
    address = read("")
    assert (address.url, address.connect_s, dict(address.server_settings), address.ssl) == (URL, 5.0, {}, None)


@pytest.mark.parametrize(
    "query",
    [
        "sslmode=require&channel_binding=prefer",  # Neon, Supabase, Heroku, Aiven, DigitalOcean, RDS, Azure, Fly
        "gssencmode=disable&sslcertmode=allow",
        "keepalives=1&keepalives_idle=30&keepalives_interval=10&keepalives_count=3&tcp_user_timeout=1000",
        "load_balance_hosts=random&fallback_application_name=psql&client_encoding=utf8",
        "sslsni=1&sslcompression=0&min_protocol_version=3.0&max_protocol_version=latest&replication=false",
    ],
)
def test_irrelevant_parameters_of_libpq_are_ignored(query: str) -> None:
    address = read(query)
    assert set(kept(address)) <= {"sslmode"}
    assert urlsplit(address.url)._replace(query="").geturl() == URL


def test_parameters_that_asyncpg_knows_are_kept() -> None:
    address = read("sslmode=verify-ca&target_session_attrs=read-write&ssl_min_protocol_version=TLSv1.2")
    assert kept(address) == {
        "sslmode": ["verify-ca"],
        "target_session_attrs": ["read-write"],
        "ssl_min_protocol_version": ["TLSv1.2"],
    }


def test_several_hosts_are_kept() -> None:
    address = read("target_session_attrs=primary", "postgresql://u:p@one:5432,two:5433/market")
    assert urlsplit(address.url).netloc == "u:p@one:5432,two:5433"


def test_options_and_application_name_are_sent_to_the_server() -> None:
    address = read("options=-csearch_path%3Dmarket&application_name=mine")
    assert dict(address.server_settings) == {"options": "-csearch_path=market", "application_name": "mine"}


@pytest.mark.parametrize(("text", "seconds"), [("10", 10.0), ("1", 2.0), ("0", 5.0), ("-1", 5.0)])
def test_connect_timeout_works_like_in_libpq(text: str, seconds: float) -> None:
    assert read(f"connect_timeout={text}").connect_s == seconds


def test_the_authorities_of_the_system_can_be_trusted() -> None:
    address = read("sslmode=verify-full&sslrootcert=system")
    assert address.ssl is not None
    assert kept(address) == {}
    assert address.arguments()["ssl"] is address.ssl


def certified(folder: Path) -> tuple[Path, Path, Path]:
    """Return the files of a certificate, of its key with the password `hush`, and of a list of revoked certificates."""
    if shutil.which("openssl") is None:
        unavailable("No openssl on the PATH.")
    config = folder / "ca.cnf"
    config.write_text(f"[ca]\ndefault_ca=own\n[own]\ndatabase={folder}/index\ndefault_md=sha256\n")
    (folder / "index").touch()
    own = (
        "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -passout pass:hush -subj /CN=own -keyout key.pem -out own.pem"
    )
    listed = "-gencrl -config ca.cnf -keyfile key.pem -passin pass:hush -cert own.pem -crldays 1 -out revoked.pem"
    for command in (f"req -x509 {own}", f"ca {listed}"):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
    return folder / "own.pem", folder / "key.pem", folder / "revoked.pem"


def test_the_authorities_of_the_system_do_not_hide_the_other_parameters_of_tls(tmp_path: Path) -> None:
    certificate, key, revoked = certified(tmp_path)
    files = f"sslcert={certificate}&sslkey={key}&sslpassword=hush&sslcrl={revoked}"
    versions = "ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.3"
    address = read(f"sslrootcert=system&{files}&{versions}&sslnegotiation=direct")
    assert kept(address) == {"sslnegotiation": ["direct"]}
    assert address.ssl is not None
    assert address.ssl.minimum_version == address.ssl.maximum_version == ssl.TLSVersion.TLSv1_3
    assert address.ssl.verify_flags & ssl.VerifyFlags.VERIFY_CRL_CHECK_CHAIN
    assert address.ssl.cert_store_stats()["crl"] == 1
    assert (address.ssl.check_hostname, address.ssl.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert read("sslrootcert=system").ssl is not None


@pytest.mark.parametrize("authority", ["system", "own.pem"])
def test_a_file_that_cannot_be_used_is_refused_by_name(tmp_path: Path, authority: str) -> None:
    certificate, key, revoked = certified(tmp_path)
    root = authority if authority == "system" else certificate
    own = f"sslmode=verify-full&sslrootcert={root}&sslcert={certificate}&sslkey={key}"
    assert read(f"{own}&sslpassword=hush&sslcrl={revoked}").url
    for query, named in ((f"{own}&sslpassword=wrong", "sslcert"), (f"sslrootcert={root}&sslcrl={key}", "sslcrl")):
        with pytest.raises(SettingsError, match=f"DATABASE_URL has {named}, whose file cannot be used") as refusal:
            read(query)
        assert "\n" not in str(refusal.value)


def test_hostaddr_alone_names_the_host() -> None:
    assert kept(address_of("postgresql:///market?host=&hostaddr=10.0.0.1", 5.0))["host"] == ["10.0.0.1"]


def test_required_channel_binding_is_ignored_with_a_warning() -> None:
    with capture_logs() as lines:
        read("channel_binding=require")
    assert [line["log_level"] for line in lines] == ["warning"]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("pgbouncer=true", "pgbouncer"),
        ("schema=public", "schema"),
        ("connection_limit=5", "connection_limit"),
        ("statement_timeout=30s", "statement_timeout"),
        ("gssencmode=require", "gssencmode"),
        ("requirepeer=postgres", "requirepeer"),
        ("require_auth=scram-sha-256", "require_auth"),
        ("replication=database", "replication"),
        ("sslcrldir=/etc/revoked", "sslcrldir"),
        ("sslcertmode=require", "sslcertmode"),
        ("oauth_issuer=https://issuer.example", "oauth_issuer"),
        ("oauth_client_id=market", "oauth_client_id"),
        ("oauth_client_secret=hush", "oauth_client_secret"),
        ("oauth_scope=all", "oauth_scope"),
        ("scram_client_key=AAAA", "scram_client_key"),
        ("scram_server_key=AAAA", "scram_server_key"),
        ("sslmode=on", "sslmode with"),
        ("ssl_min_protocol_version=1.2", "ssl_min_protocol_version with"),
        ("target_session_attrs=master", "target_session_attrs with"),
        ("connect_timeout=soon", "connect_timeout with"),
        ("channel_binding=yes", "channel_binding with"),
        ("sslrootcert=/nowhere/ca.pem", "sslrootcert without"),
        ("sslmode=require&sslrootcert=system", "sslrootcert=system"),
    ],
)
def test_a_parameter_that_cannot_be_honoured_is_refused_by_name(query: str, named: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        read(query)
    message = str(refusal.value)
    assert message.startswith(f"DATABASE_URL has {named}") or f"parameter {named}," in message
    assert "\n" not in message
    value = query.rpartition("=")[2]
    assert value == "system" or f"={value}" not in message
    assert "p%40ss" not in message
    assert "p@ss" not in message


def test_a_parameter_of_libpq_is_not_said_to_be_unknown() -> None:
    for query in ("oauth_issuer=https://issuer.example", "scram_client_key=AAAA", "sslcrldir=/etc/revoked"):
        with pytest.raises(SettingsError, match="which this client does not support: remove it"):
            read(query)


def test_the_file_of_an_authority_is_kept(tmp_path: Path) -> None:
    file, _, _ = certified(tmp_path)
    assert kept(read(f"sslmode=verify-full&sslrootcert={file}"))["sslrootcert"] == [str(file)]
