"""A server that misbehaves as it is told; run as a process: ``sink.py PORT FOLDER``.

``FOLDER/mode`` holds what it does just now. Each payload it takes is a line in ``FOLDER/taken``:
path, messageId, header. Each request, taken or not, is a line in ``FOLDER/asked``.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from pathlib import Path

PLAIN = {"500": "500 Oops", "503": "503 Busy", "400": "400 No", "404": "404 Where"}


class Sink:
    def __init__(self, folder: Path) -> None:
        self._mode = folder / "mode"
        self._taken = (folder / "taken").open("a", buffering=1)
        self._asked = (folder / "asked").open("a", buffering=1)
        self._random = random.Random(7)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._answer(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        path = first.split(" ")[1]
        mode = self._mode.read_text().strip()
        if mode == "mixed":
            mode = self._random.choice(["ok", "ok", "ok", "500", "429", "503", "reset", "half"])
        self._asked.write(f"{path} {mode}\n")
        if mode == "hang":
            await asyncio.sleep(3600)
        if mode == "reset":
            writer.transport.abort()
            return False
        if mode == "307" and not path.endswith("/moved"):
            return self._say(writer, "307 There", f"location: {path}/moved\r\n")
        if mode == "429":
            return self._say(writer, "429 Slowly", "retry-after: 1\r\n")
        if mode in PLAIN:
            return self._say(writer, PLAIN[mode])
        self._take(path, headers, body)
        if mode == "slow":  # taken long before the sender knows
            await asyncio.sleep(0.3)
        if mode == "half":  # taken, but the sender can't know
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
            await writer.drain()
            return False
        return self._say(writer, "200 OK")

    def _take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        found = json.loads(body)
        told = headers.get("x-penstock-message-id", "")  # of a batch, the id of its first event
        for event in found if isinstance(found, list) else [found]:
            self._taken.write(f"{path.removesuffix('/moved')} {event['messageId']} {told}\n")
            told = ""

    @staticmethod
    def _say(writer: asyncio.StreamWriter, status: str, more: str = "") -> bool:
        writer.write(f"HTTP/1.1 {status}\r\n{more}content-length: 2\r\n\r\n{{}}".encode())
        return True


async def main(port: int, folder: Path) -> None:
    sink = Sink(folder)
    server = await asyncio.start_server(sink.serve, "127.0.0.1", port, reuse_address=True)
    (folder / "port").write_text(str(server.sockets[0].getsockname()[1]))
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
