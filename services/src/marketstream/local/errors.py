"""The errors of a local run. Each message is written for the user at the terminal.

LocalError
├── OptionsError             an option is invalid
├── ManifestError            the manifest is unreadable or invalid
├── PortInUseError           another program listens on the port of the API
├── DirectoryInUseError      another copy uses the data directory
├── DirectoryUnusableError   this user cannot write to the data directory
├── FetchError               Kafka's jars could not be downloaded
├── ServerStartError         a server did not start, or not in time
└── ServerDiedError          a running server ended unexpectedly
"""


class LocalError(Exception):
    """Base class of all errors of a local run."""


class OptionsError(LocalError):
    """An option is invalid, alone or together with another. The message names what was given and what was expected."""


class ManifestError(LocalError):
    """A manifest is unreadable or invalid. The message names the file and the field."""


class PortInUseError(LocalError):
    """Another program listens on the port of the API."""


class DirectoryInUseError(LocalError):
    """Another copy holds the data directory, or its servers could not be ended."""


class DirectoryUnusableError(LocalError):
    """The data directory cannot be created, or belongs to another user."""


class FetchError(LocalError):
    """A jar of Kafka could not be downloaded, or does not match its locked hash."""


class ServerStartError(LocalError):
    """A server ended during its start, or did not answer in time. The message shows the end of its log."""


class ServerDiedError(LocalError):
    """A running server ended unexpectedly. The message shows the end of its log."""
