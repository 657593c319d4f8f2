/* From ring to ring. A writer changes its format: a new ring, whose first publish closes the old
 * one; loans of the old ring may be published until then. It may be killed at any statement; the
 * supervisor then starts another, whose ring goes on with the next sequence. One in-order reader
 * with enough depth follows and must get every frame once, in order.
 *
 * A frame is a number here: slots, leases and payload are ring.pml's part. One statement makes one
 * access to shared memory. Rings are counted from 0; generation = ring + 1.
 */
#ifndef OLD
#define OLD 2 /* frames of the old ring, the last LATE of them on loan when the new one opens */
#endif
#ifndef LATE
#define LATE 1
#endif
#ifndef NEW
#define NEW 2 /* frames of the new ring */
#endif
#ifndef KILLS
#define KILLS 0 /* 1: the writer is killed, another one comes */
#endif
#ifndef FIRST
#define FIRST 0 /* the sequence before the first: not 0 for a stream with a past */
#endif
#define RINGS 3
#define MOST 12

#define OPEN 0
#define ENDED 1
#define CLOSED 2

/* rings */
byte head[RINGS];
byte tail[RINGS];
byte state[RINGS];
/* lease pages, bell pages: one link a ring */
byte waiting[RINGS];
byte bell[RINGS];
/* reader's notice page */
byte word;
byte gone;   /* every generation up to this one has lost its writer */
byte linked; /* mail: rings for which the reader has a link */
/* kernel */
bit asleep;
byte writer_dead;
/* ghost */
bit writer_done;
byte ring_of[MOST]; /* 1 + ring in which a frame was published */

inline ring_bell(r)
{
    w = waiting[r];
    if
    :: w != 0 && w != rung[r] ->
        rung[r] = w;
        bell[r]++;
        asleep = 0
    :: else
    fi;
    w = 0
}

/* History is as deep as there are frames, so tail stays with the first. */
inline publish(r)
{
    seq++;
#ifndef MUT_FIRST_TAIL_LATE
    if
    :: first[r] == 0 -> tail[r] = seq
    :: else
    fi;
#endif
    d_step {
        ring_of[seq] = r + 1;
        head[r] = seq
    };
    ring_bell(r);
    if
    :: first[r] == 0 -> first[r] = seq
    :: else
    fi;
    tail[r] = first[r]
}

inline close(r)
{
    state[r] = CLOSED;
#ifndef MUT_CLOSE_SILENTLY
    ring_bell(r)
#endif
}

/* The supervisor sends the link to the reader before the writer's open returns. */
inline open(r)
{
    linked = r + 1;
    word++;
    asleep = 0
}

proctype Writer(byte ring, seq)
{
    byte w, n, rung[RINGS], first[RINGS];
    {
        n = 0;
        do
        :: n < OLD - LATE -> publish(ring); n++
        :: else -> break
        od;
        if
        :: ring == 0 && NEW > 0 ->
            open(1);
#ifdef MUT_CLOSE_AT_OPEN
            close(0);
#endif
            do
            :: n < OLD -> publish(0); n++
            :: break /* abandoned */
            od;
#if !defined(MUT_CLOSE_AT_OPEN) && !defined(MUT_CLOSE_AFTER_PUBLISH) && !defined(MUT_NEVER_CLOSE)
            close(0);
#endif
            n = 0;
            do
            :: n < NEW ->
                publish(1);
#ifdef MUT_CLOSE_AFTER_PUBLISH
                if
                :: n == 0 -> publish(0); close(0)
                :: else
                fi;
#endif
                n++
            :: else -> break
            od;
            ring = 1
        :: else
        fi;
#ifdef MUT_END_BEFORE_LAST
        state[ring] = ENDED;
        publish(ring);
#else
        state[ring] = ENDED;
#endif
        ring_bell(ring);
        writer_done = 1
    } unless { writer_dead == 1 && ring < 2 -> writer_dead = 2 }
}

active proctype Reader()
{
    byte ring, cursor, h, t, n, b, nt, s, episode, g, have;
    linked > 0;
    cursor = 0; /* a fresh reader, before the writer's open returned: it starts at the ring's first frame */
again:
    do
    :: true ->
        b = bell[ring];
        nt = word;
        g = gone;
        have = linked;
        s = state[ring];
#ifdef MUT_HEAD_BEFORE_STATE
        h = head[ring];
        s = state[ring];
#else
        h = head[ring];
#endif
        if
        :: h > cursor -> break
        :: else
        fi;
        if
        :: s == ENDED -> goto done
        :: s != ENDED && (s == CLOSED || g > ring) ->
            /* everything of this ring is delivered: s and g were read before head */
            if
            :: have > ring + 1 -> ring++; goto again
            :: else
            fi
        :: else
        fi;
        episode++;
        waiting[ring] = episode;
#ifndef MUT_NO_STATE_RECHECK
        if
        :: s == OPEN -> s = state[ring]
        :: else -> s = OPEN /* known already: only mail can help */
        fi;
#else
        s = OPEN;
#endif
        h = head[ring];
        if
        :: h > cursor -> waiting[ring] = 0; break
        :: else
        fi;
        if
        :: s != OPEN
        :: else ->
            d_step {
                if
                :: bell[ring] == b && word == nt -> asleep = 1
                :: else
                fi
            };
            !asleep
        fi;
        waiting[ring] = 0
    od;
    /* acquire */
    h = head[ring];
    t = tail[ring];
    n = (t > cursor + 1 -> t : cursor + 1);
    assert(ring_of[n] == ring + 1);         /* the index carries n: no try fails in vain */
    assert(n == (cursor > 0 -> cursor + 1 : FIRST + 1)); /* I3: every frame, once, in order */
    cursor = n;
    h = 0;
    t = 0;
    n = 0;
    b = 0;
    nt = 0;
    s = 0;
    g = 0;
    have = 0;
    goto again;
done:
    /* I3, I7: all that was published came first */
    assert(cursor == 0 || ring_of[cursor + 1] == 0)
}

active proctype Supervisor()
{
    byte base;
    linked = 1;
    word++;
    run Writer(0, FIRST);
#if KILLS
    if
    :: atomic { state[0] != ENDED && state[1] != ENDED ->
#ifndef MUT_DEATH_BY_HEARTBEAT
        writer_dead = 1
#endif
    };
#ifndef MUT_DEATH_BY_HEARTBEAT
        writer_dead == 2;
#endif
        d_step { /* what the supervisor reads in the rings of the dead */
            base = (head[1] > 0 -> head[1] : (head[0] > 0 -> head[0] : FIRST));
            if
            :: linked < 2 -> linked = 2 /* no format change came: ring 1 stays empty */
            :: else
            fi
        };
        gone = 2;
        word++;
        asleep = 0;
        linked = 3;
        word++;
        asleep = 0;
        run Writer(2, base)
    :: true
    fi
#endif
}
