import subprocess
import sys


def test_a_cache_that_cannot_be_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    command = [sys.executable, "-m", "study", "small", "--cache", str(tmp_path / "file" / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("bevprior: a file is where a folder should be")
