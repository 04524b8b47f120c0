"""Peers in C and C++, one sentence at a time."""

import itertools
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adapters.peer import Operation, Peer
from pipeline.lattice import Lattice


class Crfsuite(Peer):
    """Okazaki's, in C, one sentence at a time; no scores for start and end.

    Its transitions are those of a small model that it trains here, and the problem's are set to
    them. The score of a tag at a word is the value of an attribute that only this tag has.
    """

    distribution, module = "python-crfsuite", "pycrfsuite"

    def prepare(self) -> None:
        """Train, read the weights, and scale every attribute to the emission that is asked for."""
        pycrfsuite: Any = import_module("pycrfsuite")
        random, tags = np.random.default_rng(0), self.lattice.emissions.shape[2]
        trainer = pycrfsuite.Trainer("lbfgs", verbose=False)
        trainer.set_params({"max_iterations": 3, "c2": 0.1, "feature.possible_transitions": True})
        for _ in range(20):
            path = random.permutation(np.tile(np.arange(tags), 3))
            trainer.append([[f"a{t}"] for t in path], [str(t) for t in path])
        with tempfile.TemporaryDirectory() as folder:
            trainer.train(f"{folder}/model")
            self.tagger = pycrfsuite.Tagger()
            self.tagger.open(f"{folder}/model")
            info = self.tagger.info()
        weights = [info.state_features[f"a{t}", str(t)] for t in range(tags)]
        transitions = torch.zeros(tags, tags)
        for (a, b), weight in info.transitions.items():
            transitions[int(a), int(b)] = weight
        zero = torch.zeros(tags)
        self.lattice = Lattice(self.lattice.emissions, transitions, zero, zero, self.mask)
        self.items = [
            pycrfsuite.ItemSequence(
                [{f"a{t}": x / w for t, (x, w) in enumerate(zip(word, weights, strict=True))}
                 for word in sentence[:length]]
            )
            for sentence, length in zip(self.lattice.emissions.tolist(), self.lengths, strict=True)
        ]  # fmt: skip

    def viterbi(self) -> Operation:
        """Names of tags."""
        return Operation(
            lambda: [self.tagger.tag(items) for items in self.items],
            lambda found: [[[int(t) for t in path]] for path in found],
        )

    def marginals(self) -> Operation:
        """One call a word and tag: there is no other way to ask."""
        names = [str(t) for t in range(self.lattice.emissions.shape[2])]

        def run() -> list[list[list[float]]]:
            found = []
            for items, length in zip(self.items, self.lengths, strict=True):
                self.tagger.set(items)
                ask = self.tagger.marginal
                found.append([[ask(name, n) for name in names] for n in range(length)])
            return found

        def read(found: list[list[list[float]]]) -> Tensor:
            return torch.nn.utils.rnn.pad_sequence([torch.tensor(x) for x in found], True)

        return Operation(run, read)


class Hmmlearn(Peer):
    """The C++ of hmmlearn, one sentence at a time, in float64."""

    distribution = "hmmlearn"

    def prepare(self) -> None:
        """It takes probabilities of steps, which need not sum to one, and logarithms of words."""
        of = self.lattice.double()
        self.start, self.steps = of.start.exp().numpy(), of.transitions.exp().numpy()
        self.words = []
        for sentence, length in zip(of.emissions, self.lengths, strict=True):
            words = sentence[:length].clone()
            words[-1] += of.end
            self.words.append(words.numpy())

    def viterbi(self) -> Operation:
        """Arrays."""
        compiled: Any = import_module("hmmlearn._hmmc")
        return Operation(
            lambda: [compiled.viterbi(self.start, self.steps, words)[1] for words in self.words],
            lambda found: [[path.tolist()] for path in found],
        )

    def marginals(self) -> Operation:
        """As its `predict_proba` does it: both directions in log space, then normalised."""
        compiled: Any = import_module("hmmlearn._hmmc")

        def run() -> list[np.ndarray]:
            found = []
            for words in self.words:
                _, forward = compiled.forward_log(self.start, self.steps, words)
                logs = forward + compiled.backward_log(self.start, self.steps, words)
                shares = np.exp(logs - logs.max(axis=1, keepdims=True))
                found.append(shares / shares.sum(axis=1, keepdims=True))
            return found

        def read(found: list[np.ndarray]) -> Tensor:
            return torch.nn.utils.rnn.pad_sequence([torch.tensor(x) for x in found], True)

        return Operation(run, read)


class CrfPlusPlus(Peer):
    """CRF++ (crfpy): A* over a forward pass, one sentence at a time; emissions are penalties.

    For its lists only. Its time would be that of 1,000 calls a sentence from Python.
    """

    distribution, module = "crfpy", "CRFPP"

    def prepare(self) -> None:
        """Write a model that holds nothing but the transitions."""
        crfpp: Any = import_module("CRFPP")
        tags = self.lattice.emissions.shape[2]
        weights = self.lattice.transitions.flatten().tolist()
        lines = ["version: 100", "cost-factor: 1", f"maxid: {tags * tags}", "xsize: 1", ""]
        lines += [*(f"T{t}" for t in range(tags)), "", "B", "", "0 B", "", *map(repr, weights)]
        self.folder = tempfile.TemporaryDirectory()
        Path(self.folder.name, "text").write_text("\n".join(lines) + "\n")
        paths = [f"{self.folder.name}/{name}" for name in ("text", "model")]
        crfpp.crfpp_learn(["crf_learn", "-C", *paths])
        self.model = crfpp.Model(f"-m {paths[1]} -n 2 -v 2")

    def k_best(self, k: int) -> Operation:
        """It goes on as long as it finds paths."""
        of = self.lattice.double()

        def sentence(scores: Tensor) -> list[list[int]]:
            tagger = self.model.createTagger()
            scores = scores.clone()
            scores[0] += of.start
            scores[-1] += of.end
            for _ in scores:
                tagger.add("x")
            for n, t in itertools.product(*map(range, scores.shape)):
                tagger.set_penalty(n, t, float(scores[n, t]))
            tagger.set_nbest(k)
            tagger.parse()
            found = []
            while len(found) < k and tagger.next():
                found.append([tagger.y(n) for n in range(len(scores))])
            return found

        return Operation(
            lambda: [
                sentence(x[:length]) for x, length in zip(of.emissions, self.lengths, strict=True)
            ],
            lambda x: x,
        )
