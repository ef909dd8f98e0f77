"""The town: two web processes side by side and the crew behind them, for tests from outside."""

import random
from dataclasses import dataclass

from tests.outside import Person, register
from tests.services.crew import Member, until
from tests.services.stage import Stage


@dataclass
class Town:
    stage: Stage
    webs: list[Member]

    def people(self, *names: str) -> list[Person]:
        """They register over HTTP, each at one or the other process."""
        return [register(random.choice(self.webs).address, name) for name in names]

    def both(self, person: Person) -> list[Person]:
        """One person, once at each web process."""
        return [person.at(web.address) for web in self.webs]

    def hears(self, done: object, what: str, seconds: float = 90.0) -> None:
        """Waits for a condition; if it never comes true, the crew says why."""
        try:
            until(done, seconds, what)  # type: ignore[arg-type]
        except AssertionError as late:
            logs = "\n".join(web.said() for web in self.webs)
            raise AssertionError(f"{late}\n{self.stage.crew.evidence()}\n{logs}") from None
