"""What can be run in a pod is told by how the node's runtime refuses it."""

import pytest
from proving import exec_in_pods
from proving.errors import CouldNotMeasure
from proving.kube import Executed, NotStarted

RUNC = (
    "error executing command in container: failed to exec in container: failed to start exec: "
    'OCI runtime exec failed: exec failed: unable to start container process: exec: "sh": '
    "executable file not found in $PATH: unknown"
)
CRUN = "executable file `sh` not found in $PATH: No such file or directory"


class Container:
    """A namespace's stand-in whose one pod answers each command by its first word."""

    def __init__(self, **answers):
        self.answers = answers

    def wait_ready(self):
        """Have the pod."""

    def pods(self):
        """Return the pod."""
        return [{"metadata": {"name": "mean"}}]

    def exec(self, _, command):
        """Answer, or refuse."""
        answer = self.answers[command[0]]
        if isinstance(answer, str):
            raise NotStarted(f"`{command[0]}` was not started", answer)
        return answer


def test_a_pod_with_a_toolchain():
    """Both start."""
    found = exec_in_pods.found(Container(sh=Executed(0, "it runs\n", ""), gcc=Executed(0, "", "")))

    assert {"answers": True, "shell": True, "compiler": True} == found


@pytest.mark.parametrize(
    "refusal",
    [RUNC, CRUN, Executed(127, "", f"OCI runtime exec failed: {CRUN}"), Executed(126, CRUN, "")],
)
def test_a_pod_with_nothing_but_its_server(refusal):
    """Runtimes say it in their own ways, some of them by an exit status."""
    found = exec_in_pods.found(Container(sh=refusal, gcc=refusal))

    assert {"answers": True, "shell": False, "compiler": False} == found


@pytest.mark.parametrize("answer", ["container is not running", Executed(1, "", "no: not found")])
def test_another_failure_is_no_answer(answer):
    """A program that fails is there, and a runtime that fails tells nothing of it."""
    with pytest.raises(CouldNotMeasure):
        exec_in_pods.found(Container(sh=answer, gcc=answer))
