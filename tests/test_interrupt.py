import os
import signal
import threading

import pytest

from wordlm.interrupt import interruptible


def press_ctrl_c():
    os.kill(os.getpid(), signal.SIGINT)


def test_once_asks_and_twice_stops():
    asked = []
    before = signal.getsignal(signal.SIGINT)
    with interruptible(lambda: asked.append(True)):
        press_ctrl_c()
        assert asked == [True]
        with pytest.raises(KeyboardInterrupt):
            press_ctrl_c()
    assert asked == [True]
    assert signal.getsignal(signal.SIGINT) is before


def test_another_thread_changes_nothing():
    seen = []

    def run():
        with interruptible(lambda: None):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]
