"""Situations of other people: training."""

from hands.case import Case

_TRAIN = "train largest --model tiny --out new --steps 1 --prompts 3 --group 2 --validation 3"
_SIZE = "sizes that no machine has"
_LEAST = "sizes below the least"
_SILENT = "silent phases"
_BUSY = "threads of BLAS"

CASES: list[Case] = [
    *(
        Case(kind=_SIZE, words=f"{_TRAIN} --test 0 {flags}", code=1, said=said)
        for flags, said in (
            (
                "--prompts 100000000",
                "got 100,000,000 problems with 2 completions each",
            ),
            ("--group 100000000", "expected at most 100,000 completions per step"),
            ("--steps 1000000000000", "steps: got 1000000000000, expected at most 999,999,999"),
            ("--validation 100000000", "expected at most 17336 of the validation split"),
            ("--test 100000000 --dry-run", "of the test split"),
            ("--rank 1000000000000", "rank: got 1000000000000, expected at most"),
            ("--bands 100 --parametrisation bands", "bands: got 100, expected at most 32"),
            ("--memory-gb 1e300", "memory_gb: got 1e+300, expected more than 0"),
            ("--lr 1e400", "lr: got inf, expected more than 0"),
            ("--seed 99999999999999999999", "expected 0 or more, and less than 2^43"),
        )
    ),
    Case(
        kind=_SIZE,
        words=f"{_TRAIN} --test 0 --rank 100000",
        code=0,
        said="rank: got 100,000, no weight has more than 32 singular values: all are scaled",
    ),
    *(
        Case(kind=_LEAST, words=f"{_TRAIN} {flags}", code=code, said=said)
        for flags, code, said in (
            ("--prompts -1", 1, "prompts: got -1, expected 1 or more"),
            ("--steps 0", 1, "steps: got 0, expected 1 or more"),
            ("--test -1", 1, "test: got -1, expected 0 or more"),
            ("--rank -3", 2, "Input should be greater than or equal to 1"),
            ("--group many", 2, "unable to parse string as an integer"),
        )
    ),
    *(
        Case(kind=_SILENT, words=f"{_TRAIN} {flags}", code=0, said=said, printed=printed)
        for flags, said, printed in (
            ("--test 3", "measuring memory probing for a signal", ""),
            ("--test 3", "test before, 3 problems test after, 3 problems", "expert: new/"),
            ("--test 0 --dry-run", "measuring memory timing sampling timing the gradient", ""),
            ("--test 0", "next: t2 eval largest --expert new/expert.safetensors --model", ""),
        )
    ),
    *(
        Case(
            kind=_BUSY,
            words="doctor --json",
            code=0,
            printed=printed,
            environment=dict.fromkeys(
                ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS"), ""
            )
            | environment,
        )
        for environment, printed in (
            ({"OPENBLAS_NUM_THREADS": "1"}, '"OPENBLAS_NUM_THREADS=1"'),
            ({"OMP_NUM_THREADS": "2"}, '"blas_threads": 2, "blas_threads_why": "OMP_NUM'),
            ({}, "cores, others use"),
        )
    ),
]
