"""Errors of Kafka. A caller that catches BrokerError catches all of them.

BrokerError
├── BrokerUnavailableError   Kafka does not answer, or fails: retrying may help
├── TopicMissingError        a topic does not exist: retrying helps once somebody else creates it
└── BrokerRefusedError       the request is invalid or refused: retrying does not help
"""

import ssl
from typing import Final

from aiokafka.errors import IllegalSaslStateError, SaslAuthenticationFailed, UnsupportedSaslMechanismError


class BrokerError(Exception):
    """Base class of all errors of Kafka."""


class BrokerUnavailableError(BrokerError):
    """Kafka does not answer in time, or answers with an error that may pass. Retrying may help."""


class TopicMissingError(BrokerError):
    """A topic does not exist, and this process does not create it. Retrying helps once somebody else has created it."""


class BrokerRefusedError(BrokerError):
    """Kafka refuses the request, or nothing valid can be sent to it. Retrying does not help."""


REFUSED_LOGIN: Final = (SaslAuthenticationFailed, UnsupportedSaslMechanismError, IllegalSaslStateError, ssl.SSLError)
"""Errors of aiokafka for a login that either side refuses.

aiokafka only logs them, and then raises an error as if Kafka did not answer.
"""
