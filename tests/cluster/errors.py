"""What can go wrong here, as one tree.

ClusterError
├── HostError       this machine lacks something; the message names the remedy
├── BuildError      a component or an image could not be built
└── StartError      a process of the cluster ended or did not become ready
"""


class ClusterError(Exception):
    """Anything that keeps the embedded cluster from being up."""


class HostError(ClusterError):
    """This machine lacks something that the cluster needs and cannot install by itself."""


class BuildError(ClusterError):
    """A component or an image could not be built."""


class StartError(ClusterError):
    """A process of the cluster ended early or did not become ready in time."""
