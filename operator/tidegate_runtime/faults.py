"""Every way in which the runtime gives up, as one tree.

::

    RuntimeFault
    ├── ConfigurationInvalid     an environment variable is missing or wrong
    ├── DownloadFault
    │   ├── ModelVersionNotFound the registry has no such model or version
    │   ├── RegistryUnauthorized the registry refused the credentials (401, 403)
    │   ├── RegistryUnreachable  no answer in time, or the registry answered 5xx
    │   ├── ArtifactMissing      the version exists, its files do not
    │   ├── ArtifactCorrupt      the files are no loadable MLflow model directory
    │   ├── DigestMismatch       the files are not those recorded for the revision
    │   └── StorageUnavailable   the pod's own volume is full or not writable
    ├── LoadFailed               the model could not be loaded
    ├── WarmUpFailed             the model does not answer its own saved input example
    └── ListenFailed             the port can't be listened on

The class's name is the ``error`` of the termination message, which the operator shows in a condition.
"""


class RuntimeFault(Exception):  # noqa: N818 - a fault is named as the reason that a condition shows
    """The program can't go on; the message is one sentence for a person, with the remedy where there is one."""

    @property
    def reason(self) -> str:
        """The word a condition carries: the class's own name."""
        return type(self).__name__


class ConfigurationInvalid(RuntimeFault):
    """An environment variable is missing or wrong."""


class DownloadFault(RuntimeFault):
    """The model version's files can't be brought to this pod."""


class ModelVersionNotFound(DownloadFault):
    """The registry has no such model or version."""


class RegistryUnauthorized(DownloadFault):
    """The registry refused the credentials, or there were none (401, 403)."""


class RegistryUnreachable(DownloadFault):
    """The registry or its artifact store did not answer in time, or answered 5xx."""


class ArtifactMissing(DownloadFault):
    """The version exists, its files do not (``mlflow gc`` leaves READY versions behind that have none)."""


class ArtifactCorrupt(DownloadFault):
    """The files are there, but are no loadable MLflow model directory."""


class DigestMismatch(DownloadFault):
    """The files differ from those recorded for the revision: somebody changed the artifact in place."""


class StorageUnavailable(DownloadFault):
    """The pod's own volume is full or not writable."""


class LoadFailed(RuntimeFault):
    """The model could not be loaded."""


class WarmUpFailed(RuntimeFault):
    """The model does not answer its own saved input example."""


class ListenFailed(RuntimeFault):
    """The port can't be listened on."""
