"""The Kubernetes API as any operator needs it: client, login, election, Events, work queue."""
