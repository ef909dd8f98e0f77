"""The site: one web process and the crew behind it, as `make run` starts them, on short windows.

site.url                      where it answers
site.crew.replace("flusher")  another worker in its place; hire, kill, stop as in tests/services
site.restart_web()            the web process is killed and a fresh one answers on the same port
"""

from dataclasses import dataclass, field

from tests.services.crew import NAMES, Crew, Member, free_port


@dataclass
class Site:
    crew: Crew
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def web(self) -> Member:
        return self.crew.members["web"]

    def open(self) -> None:
        """Everybody starts at once; open means that the web process answers."""
        for name in NAMES:
            self.crew.hire(name)
        self.open_web()
        self.crew.opens()

    def open_web(self) -> None:
        self.crew.members["web"] = self.crew.web(self.port)

    def restart_web(self) -> None:
        self.web.kill()
        self.open_web()

    def complete(self) -> None:
        """After a test that broke something: who is missing is hired again."""
        for name in NAMES:
            if not self.crew.members[name].alive:
                self.crew.hire(name)
        if not self.web.alive:
            self.open_web()
