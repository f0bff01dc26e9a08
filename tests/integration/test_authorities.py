"""PostgreSQL and Redis behind TLS with a private authority, which DATABASE_CA and REDIS_CA make trusted."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from marketstream.postgres.connect import close_pool, open_pool
from marketstream.postgres.errors import StoreRefusedError
from marketstream.redis.client import connect
from marketstream.redis.frames import FrameListener
from marketstream.settings import Settings
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.harness.tls import encrypted, issue


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an authority and the certificate of localhost."""
    made = tmp_path_factory.mktemp("authority")
    issue(made)
    return made


def moved(url: str, port: int, scheme: str, host: str = "localhost") -> str:
    """Return the URL of the same server behind another port."""
    parts = urlsplit(url)
    login = parts.netloc.rpartition("@")[0]
    return parts._replace(scheme=scheme, netloc=f"{login}{'@' * bool(login)}{host}:{port}").geturl()


async def test_postgresql_is_verified_fully(database_url: str, folder: Path) -> None:
    inner = urlsplit(database_url).port or 0
    async with encrypted(inner, folder / "server.pem", is_postgres=True) as port:
        settings = Settings(database_url=moved(database_url, port, "postgresql"), database_ca=str(folder / "ca.crt"))
        pool = await open_pool(settings, size=1, wait_s=10)
        assert await pool.fetchval("SELECT 1") == 1
        await close_pool(pool)
        other = settings.but(database_url=moved(database_url, port, "postgresql", "127.0.0.1"))
        with pytest.raises(StoreRefusedError, match="certificate"):
            await open_pool(other, size=1, wait_s=1)
        with pytest.raises(StoreRefusedError, match="certificate"):
            await open_pool(settings.but(database_ca=str(_foreign(folder))), size=1, wait_s=1)


async def test_redis_is_verified(redis_url: str, folder: Path) -> None:
    async with encrypted(urlsplit(redis_url).port or 0, folder / "server.pem") as port:
        settings = Settings(redis_url=moved(redis_url, port, "rediss"), redis_ca=str(folder / "ca.crt"))
        redis = connect(settings)
        assert await redis.ping()
        await redis.aclose()
        async with FrameListener(settings).subscribed():
            pass
        stranger = connect(settings.but(redis_ca=str(_foreign(folder))))
        with pytest.raises(RedisConnectionError, match="certificate"):
            await stranger.ping()
        await stranger.aclose()


def _foreign(folder: Path) -> Path:
    """Return an authority that signed nothing here."""
    other = folder / "other"
    if not other.exists():
        other.mkdir()
        issue(other)
    return other / "ca.crt"
