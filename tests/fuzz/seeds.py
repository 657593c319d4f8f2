#!/usr/bin/env python3
"""Writes inputs to begin with: seeds.py TARGET FOLDER.

Each is a whole course of what programs do - a writer comes, readers join, frames go, somebody dies -
in the words of the target's steps. The numbers are those of its enum step.
"""
import os
import re
import sys

top = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def number(value):
    """As input_number() takes it."""
    if value < 64:
        return bytes([value])
    if value & (value - 1) == 0:
        return bytes([239, value.bit_length() - 1])
    return bytes([255]) + value.to_bytes(8, "little")


def numbers(*values):
    return b"".join(number(value) for value in values)


def message_types():
    with open(os.path.join(top, "shmframe/src/message.h"), encoding="utf-8") as file:
        text = file.read()
    body = re.search(r"enum message_type \{(.*?)\};", text, re.S)[1]
    return re.findall(r"MESSAGE_(\w+)", re.sub(r"/\*.*?\*/", "", body, flags=re.S))


TYPES = message_types()


# ---- control ----

CONNECT, SAY, OPEN_WHOLE, AGAIN, RAW, HEAR, LEAVE, WAIT, SCRIBBLE, DIE = range(10)
HOLD = 0x80
IN_GRACE, WITH_FOLDER, CONNECTED = 1, 2, 4


def say(peer, name, fields=b"", cookie=1, fds=0, hold=0):
    return bytes([SAY | hold, peer, TYPES.index(name) - 1, cookie]) + fields + bytes([fds])


def open_ring(stream, writer=1, flags=0, generation=0, links=0, held=0, loans=1, history=1):
    return bytes([stream]) + numbers(writer, flags, generation, loans, history, links, held, 0)


def open_reader(stream, entry, policy=1, depth=2, leases=1, flags=0, generation=0, serial=0,
                link=0, head=0):
    return (bytes([stream]) + b"read" +
            numbers(entry, policy, depth, leases, flags, generation, serial, link, head))


def whole(peer, ring, shape=2 | 1 << 2 | 1 << 4, entry=0):
    return bytes([OPEN_WHOLE, peer, ring, shape, entry])


def offer(peer, writer, generation, entry, serial, hold=0):
    return say(peer, "OFFER_LINK", numbers(writer, generation, entry, serial), 0, 0, hold)


def held(peer, writer, generation, entry, serial, state=1):
    return say(peer, "HELD_LINK", bytes([state << 3]) +
               numbers(writer, generation, entry, serial, 2, 1), 0)


def hear_all():
    return b"".join(bytes([HEAR, peer]) for peer in range(4))


def control():
    begin = bytes([CONNECTED])
    yield begin + whole(0, 0) + say(1, "OPEN_READER", open_reader(0, 3)) + hear_all()
    yield (begin + say(1, "OPEN_READER", open_reader(1, 3, 0)) + whole(0, 1) + hear_all() +
           say(2, "LIST_STREAMS", bytes([0])) + say(2, "LIST_READERS", bytes([1])) +
           say(2, "GET_RECORD", bytes([1]) + number(1)) + say(2, "LIST_NODES") +
           say(2, "LIST_EVENTS", numbers(0, 50, 0)) + hear_all())
    yield (begin + whole(0, 0) + say(1, "OPEN_READER", open_reader(0, 3, 2)) +
           say(1, "OPEN_READER", open_reader(0, 4, 1, 4, 2)) + offer(0, 1, 1, 30, 30) +
           offer(0, 1, 1, 31, 31) + say(2, "EVICT", bytes([0]) + number(1)) +
           say(1, "CLOSE_READER", number(4)) + say(0, "CLOSE_WRITER", numbers(1, 32, 5)))
    yield (begin + whole(0, 2) + say(1, "REQUEST", bytes([2]) + b"seek", 3) + bytes([HEAR, 0]) +
           say(0, "ANSWER", number(0), 1) + bytes([AGAIN, 1, 39]) + bytes([LEAVE, 1]) +
           bytes([LEAVE, 0]))
    yield (begin + whole(0, 0) + whole(0, 3, entry=8) + say(1, "OPEN_READER", open_reader(0, 3)) +
           bytes([LEAVE, 0]) + bytes([WAIT, 0, 2]) + whole(2, 0) + bytes([DIE, 0]))
    # After a restart: a writer and its reader come back.
    back = bytes([CONNECTED | IN_GRACE | WITH_FOLDER])
    yield (back + say(0, "OPEN_RING", open_ring(0, 1, 1, 1, 1, 1)) + held(0, 1, 1, 20, 7) +
           offer(0, 1, 1, 21, 8) +
           say(1, "OPEN_READER", open_reader(0, 3, 1, 2, 1, 1, 1, 7, 20, 5)) +
           say(1, "HELD_RING", numbers(3, 1)) + bytes([WAIT, 0, 2]) + hear_all())
    yield (back + say(1, "OPEN_READER", open_reader(0, 3, 1, 2, 1, 1, 1, 7, 20, 5)) +
           say(1, "HELD_RING", numbers(3, 1)) + bytes([LEAVE, 1]) + bytes([CONNECT, 2, 0]) +
           say(2, "OPEN_READER", open_reader(0, 3, 1, 2, 1, 1, 1, 7, 20, 6)) + whole(0, 0) +
           bytes([WAIT, 0, 2]) + hear_all())
    # What is wrong with descriptors, bytes and order.
    yield (begin + b"".join(say(peer % 6, "OPEN_READER", open_reader(0, 3), fds=224) +
                            bytes([5 + 6 * peer, 0, 0, 0]) + bytes([CONNECT, peer % 6, 0])
                            for peer in range(12)))
    for wrong in range(10):
        yield (begin + say(0, "OPEN_READER", open_reader(0, 3), fds=224) +
               bytes([5 + 6 * wrong, 0, 0, 0]) + say(1, "GET_RECORD", bytes([0]) + number(1)) +
               hear_all())
    yield begin + b"".join(bytes([RAW, peer, 4 * peer, peer, 1, 3, 1, 4]) for peer in range(6))
    yield bytes([0]) + bytes([CONNECT, 0, 7]) + bytes([WAIT, 0, 2]) + bytes([CONNECT, 1, 6])
    # Pages that change while they are looked at.
    yield (begin + whole(0, 0) + say(1, "OPEN_READER", open_reader(0, 3)) +
           b"".join(bytes([SCRIBBLE, 0, place & 1, place, place >> 1]) + number(1 << place) +
                    bytes([3]) + bytes([WAIT, 0, 1]) for place in range(2, 40, 3)))
    yield begin + say(0, "COMMAND", bytes([4]) + b"\0\0\0") + say(0, "COMMAND", bytes([0]) + b"a\0\0")
    yield begin + b"".join(whole(peer, peer, 1 | 1 << 2) for peer in range(4)) + bytes([AGAIN, 2, 30])


# ---- attach ----

def attach_ring(kind=2, size=40, more=0, shape=5, frames=3, patches=b"\0", grant=33, generation=0):
    return bytes([kind, size, more, shape, frames]) + patches + bytes([grant, generation])


def attach():
    acquire, batch, release, await_, write, notice, link, mail, listen, hang_up, wait = range(11)
    for kind in range(18):
        ring = attach_ring(kind, 30 + kind, 20, 5 | (kind & 1) << 7, 3 + kind)
        steps = bytes([acquire, 0, release, 0] * 4 + [listen, 0, listen, 3])
        yield ring + bytes([kind * 13 & 0xff]) + steps
    follow = b"".join(bytes([write, 0, 0, 1, 0, acquire, 0, release, 0]) for _ in range(8))
    for shape in (0, 1, 2, 0x45, 0x66):
        yield attach_ring() + bytes([shape]) + follow + bytes([await_, 1, batch, 3, release, 255])
    yield (attach_ring() + bytes([1, listen, 2]) + bytes([link, 0]) + attach_ring(0, 31, 15) +
           bytes([write, 0, 2, 2, 1, acquire, 0, release, 0, acquire, 0, notice, 0, 0, 1]) +
           bytes([acquire, 0, acquire, 0, listen, 0, release, 0]))
    # The word of a slot's header that tells how long its frame is.
    yield (attach_ring() + bytes([0]) +
           b"".join(bytes([write, 0, 4, slot]) + number(40 * 10**12 + 6) for slot in range(6)) +
           bytes([acquire, 0, release, 0]))
    yield attach_ring() + bytes([0, write, 0, 8, 2, 200, 11, acquire, 0, release, 0])
    yield attach_ring() + bytes([1, notice, 0, 6, 0, acquire, 0, mail, 0, 0x81] + [1] * 5)
    yield (attach_ring() + bytes([1, hang_up, 0, wait, 255, listen, 1, wait, 255, listen, 1]) +
           bytes([acquire, 0, release, 0]))
    # Geometries that are not: a patch is place, how, word.
    for place, word in ((0, 1), (8, 9), (12, 8), (16, 255), (24, 1), (32, 7), (40, 0), (44, 3),
                        (48, 90), (112, 65), (176, 5), (180, 2), (184, 9), (200, 255)):
        yield attach_ring(0, 31, 15, 0x45, 5, bytes([1, place & 255, place >> 8, 1, word]))
        yield attach_ring(0, 31, 15, 0x05, 5, bytes([1, place & 255, place >> 8, 0x80, 200, word]))


# ---- lease ----

def lease():
    (loan, publish, abandon, batch, pin, grant, word, notice, mail, listen, change, hang_up, wait,
     record) = range(14)
    frame = bytes([loan, 0, publish, 0])
    for shape in range(0, 128, 9):
        yield bytes([shape, shape * 7 & 255, shape, shape % 60]) + frame * 6
    join = bytes([grant, 0, 0, 0x11])
    yield bytes([3, 10, 4, 0]) + join + frame * 3 + bytes([word, 0, 0, 0x80, 9]) + frame * 4
    yield (bytes([0x2f, 10, 9, 5]) + bytes([grant, 0, 1, 0x36]) + frame * 4 +
           bytes([word, 0, 1, 0x41, 0, loan, 1, wait, 99, word, 0, 1, 0x40, 1]) + frame * 3)
    yield (bytes([3, 10, 9, 5]) + join + bytes([word, 0, 0, 0x20, 9]) + frame +
           bytes([notice, 0, 0x80, 2, notice, 0, 0x40, 5, listen, 1, listen, 0]) + frame)
    yield (bytes([3, 1, 9, 5, batch, 6, pin, 1, batch, 0x80, pin, 0, abandon, 0, listen, 3]) +
           bytes([change, 0, 4, 2, 9]) + frame * 2 + bytes([hang_up, 0, wait, 255, listen, 1]) +
           frame + bytes([wait, 255, listen, 1]) + frame)
    for kind in range(8):
        yield (bytes([3, 1, 9, 5, mail, 0, 0x40 | kind, 1, 1, 2, 3, 1, listen, 1, listen, 0]) +
               frame)
    yield (bytes([3, 1, 9, 5, record, 0, 12]) +
           b"".join(bytes([place & 255, place >> 8]) + number(7 * place) for place in
                    range(0, 3600, 300)) + bytes([4]))


# ---- pipeline ----

def pipeline():
    text = b"""[producer cam]
command = shmframe-camera --stream cam
writes = cam
[filter blur]
command = blur cam soft
reads = cam
writes = soft
ready = stream
restart = always
[consumer view]
command = shmframe-view soft
reads = soft
cpus = 0-1
nice = 5
environment = A=1 B=2
stop_timeout = 2s
hold_limit = 500ms
[stream cam]
stall_limit = 1s
hold_action = report
"""
    yield b"c" + text
    yield b"r" + text + b"\0" + text.replace(b"nice = 5", b"nice = 6").replace(b"cam", b"eye")
    with open(os.path.join(top, "docs/shmframe-pipeline.5.scd"), encoding="utf-8") as file:
        page = file.read()
    for key in sorted(set(re.findall(r"^\*(\w+)\*", page, re.M))):
        yield f"c[consumer a]\ncommand = x\n{key} = 1\n".encode()
    yield (b"na 3 2 100 0 0 3\nb.c 1 1 0 1 1 0\n=7 a1 1 5\nlast 2 1 9 99999999 3 1\n")
    yield b"nshmframe-names 3\nx 1 0 5 0 0 0\n"
    yield b"na 2 1 5 @ 2\n=7 a1 @ a\n"
    yield b"na 1 2 5 @ 0\n"  # a generation is gone that has not been there
    node = b"cam 3 %d 5 0 0 %d 0 1 0 %d 0 7 9223372036854775807 5 0 0 1,2,3,; why\n"
    yield b"o" + text + b"\0" + node % (0, 0, 0) + node.replace(b"cam", b"old") % (99999999, 1, 1)
    for starts in (100, 101):  # as many as are kept, and one more
        yield b"o" + text + b"\0" + node.replace(b"1,2,3,", b"7," * starts) % (0, 0, 0)
    yield (b'j{"type":"shmframe-run","version":1,"library":"1","machine":{"host":"h"},"runs":['
           b'{"stream":"a","format":"640x480 gray","block_ns":1000000000,"duration_ns":5,'
           b'"outage":{"longest_ns":4},"blocks":[{"number":0,"frames":2,"events":{"lost":1},'
           b'"hops":{"age":{"values":[[5,1],[9,2]]}}},{"number":1,"frames":2,"events":{},'
           b'"hops":{}}]}]}')


# ---- marks ----

def marks():
    yield bytes([0, 5])
    for wrong in range(1, 16, 3):
        cells = b"".join(bytes([place * 17 & 255, 0, 200]) for place in range(wrong * 4))
        yield bytes([0, 5]) + cells
    for erased in (0, 4, 16):
        yield (bytes([1, 23, erased, 1]) + bytes(range(erased)) + bytes(range(40)) +
               b"".join(bytes([place, 77]) for place in range(erased, erased + 6)))
    for name in range(6):
        for cell in (1, 2):
            # 128 x 60 or more, one strip in it.
            picture = bytes([2, name, 170 if cell == 1 else 155, 0, 60, 0, 0, 1, 1])
            strip = bytes([1, 9, 9, cell - 1, 7, 2, 1, 255, 0])
            yield picture + bytes([7]) + strip + bytes([7]) + strip + bytes([0x30, 9, 0, 20]) + b"x" * 20


def main():
    target, folder = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)
    for place, seed in enumerate(globals()[target]()):
        with open(os.path.join(folder, f"seed-{place:02}"), "wb") as file:
            file.write(seed)


if __name__ == "__main__":
    main()
