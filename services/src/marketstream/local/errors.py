"""What can go wrong on one machine.

LocalError
├── DirectoryInUseError      another copy runs on the data directory
├── DirectoryUnusableError   the data directory cannot be written by this user
├── FetchError               Kafka's jars could not be fetched
├── ServerStartError         a server did not start, or not in time
└── ServerDiedError          a server ended by itself
"""


class LocalError(Exception):
    """Base of all errors of the embedded run; the message is for the person at the terminal."""


class DirectoryInUseError(LocalError):
    """Another copy holds the data directory, or its servers could not be ended."""


class DirectoryUnusableError(LocalError):
    """The data directory cannot be made, or belongs to another user."""


class FetchError(LocalError):
    """A jar of Kafka could not be fetched, or is not the one that was locked."""


class ServerStartError(LocalError):
    """A server ended while starting, or did not answer in time; the message shows the end of its log."""


class ServerDiedError(LocalError):
    """A server that should be running has ended; the message shows the end of its log."""
