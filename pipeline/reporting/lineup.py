"""Who is compared with whom: what the grid names, and the evaluations of all of them."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.evaluation import Examined


@dataclass(frozen=True)
class Lineup:
    """What the grid names: who is compared, in this order; `corpora`: the teachers of each.

    Ensembles are teachers here. `zero_shot` are corpora that students have no text of.
    """

    teachers: tuple[str, ...]
    recipes: tuple[str, ...]
    seeds: tuple[int, ...]
    corpora: Mapping[str, tuple[str, ...]]
    zero_shot: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Results:
    """Evaluations of all taggers of a line-up; those of a recipe in the order of its seeds.

    All students have been tested on the same corpora, each teacher on those of them that name it.
    """

    lineup: Lineup
    teachers: Mapping[str, Examined]
    students: Mapping[str, tuple[Examined, ...]]

    @property
    def baseline(self) -> str:
        """The recipe that the others are compared with."""
        return self.lineup.recipes[0]

    @property
    def corpora(self) -> list[str]:
        """The corpora that students were tested on, in the order of the line-up."""
        tested = self.students[self.baseline][0].corpora
        return [corpus for corpus in self.lineup.corpora if corpus in tested]

    @property
    def taught(self) -> list[str]:
        """Those of them that have a teacher and that students learn from."""
        return [corpus for corpus in self.counted if self.lineup.corpora[corpus]]

    @property
    def counted(self) -> list[str]:
        """Those whose mean is a student's F1: all that are not zero-shot, if any is."""
        learnt = [corpus for corpus in self.corpora if corpus not in self.lineup.zero_shot]
        return learnt or self.corpora

    @property
    def zero_shot(self) -> list[str]:
        """The others."""
        return [corpus for corpus in self.corpora if corpus not in self.counted]
