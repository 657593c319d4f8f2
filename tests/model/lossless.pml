/* A lossless reader: the writer waits for it in loan, with up to LOANS loans out at a time; it
 * comes at the start or in mid-stream, and may be killed. A second link, in-order and deeper, is
 * only looked at for what it does to the history: it may be gone at any time.
 *
 * Slots, leases and payload are ring.pml's part; here a frame is a number, and it can be had while
 * it lies between tail and head. One statement makes one access to shared memory.
 */
#ifndef FRAMES
#define FRAMES 4
#endif
#ifndef LOANS
#define LOANS 1
#endif
#ifndef DEPTH
#define DEPTH 1 /* of the lossless reader */
#endif
#ifndef DEEP
#define DEEP 0 /* of the other one; 0: there is none */
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef WRITER_KILLS
#define WRITER_KILLS 0
#endif
#ifdef JOIN
#define MID_STREAM 1
#else
#define MID_STREAM 0
#endif
#define MOST (DEEP > DEPTH -> DEEP : DEPTH)
#define MAX(a, b) ((a) > (b) -> (a) : (b))

#define GRANTED 1
#define GONE 2

/* ring */
byte head;
byte tail;
bit ended;
/* lease page of the lossless reader */
byte cursor;
byte space;
byte waiting;
/* its bell page */
byte bell;
bit writer_waiting;
byte start; /* 1 + the sequence after which this reader is waited for; 0: not yet noticed */
/* notice pages */
byte word = 1;
byte entry;
byte deep_entry = (DEEP > 0 -> GRANTED : 0);
byte reader_word;
bit writer_gone;
/* kernel */
bit reader_asleep;
bit writer_asleep;
byte reader_dead;
bit writer_dead;
/* ghost */
bit out;
bit writer_done;

inline read_notice()
{
    if
    :: word != seen ->
        seen = word;
        e = entry;
        d_step {
            is_active = (e == GRANTED);
            history = (is_active -> DEPTH : 1)
        };
#if DEEP
        e = deep_entry;
        d_step {
            history = (e == GRANTED -> MAX(history, DEEP) : history);
            e = 0
        };
#endif
        if
        :: is_active && !told ->
            since = seq;
            told = 1;
            start = seq + 1
        :: else
        fi
    :: else
    fi
}

inline ring_bell()
{
    read_notice();
    if
    :: is_active ->
        e = waiting;
        if
        :: e != 0 && e != rung ->
            rung = e;
            bell++;
            reader_asleep = 0
        :: else
        fi;
        e = 0
    :: else
    fi
}

#ifdef MUT_COUNT_LOANS
#define NEXT (seq + loans + 1)
#else
#define NEXT (seq + 1)
#endif

proctype Writer()
{
    byte seq, loans, history = 1, since, oldest, e, c, s, nt, seen, rung;
    byte known; /* the cursor, as last looked at */
    bit is_active, told;
    {
        do
        :: seq + loans < FRAMES && loans < LOANS ->
            /* loan */
            do
            :: true ->
#ifdef MUT_NOTICE_AFTER_READ
                read_notice();
                nt = word;
#else
                nt = word;
                read_notice();
#endif
                if
                :: !is_active -> break
                :: else
                fi;
                if
                :: NEXT - MAX(known, since) <= history -> break
                :: else
                fi;
                known = cursor;
                if
                :: NEXT - MAX(known, since) <= history -> break
                :: else
                fi;
#ifndef MUT_LATE_SPACE
                s = space;
#endif
                writer_waiting = 1;
#ifndef MUT_NO_CURSOR_RECHECK
                known = cursor;
#endif
#ifdef MUT_LATE_SPACE
                s = space;
#endif
                if
                :: NEXT - MAX(known, since) <= history
                :: else ->
                    d_step {
                        if
#ifdef MUT_NO_NOTICE_IN_SLEEP
                        :: space == s -> writer_asleep = 1
#else
                        :: space == s && word == nt -> writer_asleep = 1
#endif
                        :: else
                        fi
                    };
                    !writer_asleep
                fi;
                writer_waiting = 0
            od;
            c = 0;
            s = 0;
            nt = 0;
            loans++
        :: loans > 0 ->
            /* publish */
            loans--;
            seq++;
            if
            :: oldest == 0 -> oldest = seq
            :: else
            fi;
            head = seq;
            ring_bell();
            /* Nothing that a lossless reader has still to take leaves the history. */
            if
            :: is_active && seq >= history && MAX(known, since) < seq - history ->
                known = cursor
            :: else
            fi;
            d_step {
                c = (is_active -> MAX(known, since) : seq);
                s = (seq >= history -> seq - history + 1 : 1);
#ifndef MUT_NO_TAIL_LIMIT
                s = (s > c + 1 -> c + 1 : s);
#endif
                oldest = MAX(oldest, s);
                s = 0;
                c = 0;
                assert(seq - oldest + 1 + loans <= MOST + LOANS) /* I6: slots suffice */
            };
            tail = oldest
        :: seq == FRAMES && loans == 0 -> break
        od;
        ended = 1;
        ring_bell();
        writer_done = 1
    } unless { writer_dead }
}

proctype Reader()
{
    byte h, t, b, nt, e, taken, from;
    byte there; /* head, as last looked at */
    bit end;
#ifdef MUT_START_BY_READER
    /* The reader chooses where it begins, the writer notes where it noticed it. */
    do
    :: true ->
        h = head;
        taken = h;
        cursor = taken;
        if
        :: head == h -> break
        :: else
        fi
    od;
    from = 1;
#endif
    {
        do
        :: true ->
            /* wait */
            do
            :: true ->
                b = bell;
                nt = reader_word;
                end = writer_gone;
                if
                :: !end -> end = ended
                :: else
                fi;
                h = head;
                if
                :: from == 0 ->
                    from = start;
                    taken = (from > 0 -> from - 1 : 0)
                :: else
                fi;
                if
                :: from != 0 && h > taken -> break
                :: else
                fi;
                if
                :: end -> goto done
                :: else
                fi;
                e++;
                waiting = e;
                end = ended;
                h = head;
                if
                :: from == 0 ->
                    from = start;
                    taken = (from > 0 -> from - 1 : 0)
                :: else
                fi;
                if
                :: from != 0 && h > taken -> waiting = 0; break
                :: else
                fi;
                if
                :: end
                :: else ->
                    d_step {
                        if
                        :: bell == b && reader_word == nt -> reader_asleep = 1
                        :: else
                        fi
                    };
                    !reader_asleep
                fi;
                waiting = 0
            od;
            b = 0;
            nt = 0;
            end = 0;
            there = h;
            h = 0;
next:
            /* acquire */
            t = tail;
            assert(t <= taken + 1); /* I3: a lossless reader loses nothing */
            t = 0;
#ifdef MUT_FLAG_BEFORE_CURSOR /* what a missing fence in acquire allows */
            end = writer_waiting;
            taken++;
            cursor = taken;
#else
            taken++;
            cursor = taken;
#ifdef MUT_WAKE_TOO_LATE
            if
            :: there <= taken + DEPTH / 2 -> end = writer_waiting
            :: else
            fi;
#else
            end = writer_waiting;
#endif
#endif
            if
            :: end ->
#ifndef MUT_NO_SPACE_BUMP
                space++;
#endif
                writer_asleep = 0
            :: else
            fi;
            end = 0;
            /* The reader may take no more for long: a writer that has room goes on. */
            assert(!writer_asleep || head + 1 - taken > DEPTH);
            if
            :: there > taken + 1 -> goto next
            :: else
            fi
        od;
done:
        b = 0;
        d_step {
            assert(writer_dead || ended);
            assert(from == 0 || taken == head);
            out = 1
        }
    } unless { reader_dead == 1 -> d_step {
                   h = 0; t = 0; b = 0; nt = 0; e = 0; taken = 0; from = 0; end = 0; there = 0;
                   reader_dead = 2 } }
}

active proctype Supervisor()
{
    bit joined;
    atomic {
        if
        :: !MID_STREAM -> entry = GRANTED; joined = 1; run Reader()
        :: else
        fi;
        run Writer()
    };
    do
    :: !joined ->
        entry = GRANTED;
        word++;
        run Reader();
        joined = 1
#if DEEP
    :: deep_entry == GRANTED ->
        deep_entry = GONE;
        word++;
        writer_asleep = 0
#endif
#if KILLS
    :: joined && !out && reader_dead == 0 ->
        if
        :: atomic { !out -> reader_dead = 1; reader_asleep = 0 };
            reader_dead == 2;
            entry = GONE;
            word++;
            writer_asleep = 0
        :: out
        fi
#endif
#if WRITER_KILLS
    :: atomic { !writer_dead && !writer_done -> writer_dead = 1; writer_asleep = 0 };
        writer_gone = 1;
        reader_word++;
        reader_asleep = 0
#endif
    :: true -> break
    od
}
