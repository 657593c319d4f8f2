/* The data plane of one ring: loan, publish, acquire, release, wait; links granted through the
 * notice page; any process killed between any two statements.
 *
 * Sequentially consistent: one statement (one d_step) makes at most one access to shared memory.
 * What weaker memory adds is the litmus programs' part. Ghost variables, which no process could
 * really see, are marked so; only assertions and the killer look at them.
 *
 * Slots: 1 loan + history + the leases of all readers, and none to spare.
 */
#ifndef READERS
#define READERS 1
#endif
#ifndef START
#define START READERS /* readers linked before the writer's open returned */
#endif
#ifndef JOINS
#define JOINS 0 /* readers that come later */
#endif
#ifndef LINKS
#define LINKS READERS /* entries of the notice page; more than READERS are spares */
#endif
#ifndef DEPTH
#define DEPTH 1
#endif
#ifndef K
#define K 1
#endif
#ifndef FRAMES
#define FRAMES 4
#endif
#ifndef IN_ORDER
#define IN_ORDER 0
#endif
#ifndef KILLS
#define KILLS 0 /* readers that are killed */
#endif
#ifndef WRITER_KILLS
#define WRITER_KILLS 0
#endif
#ifndef EVICTS
#define EVICTS 0
#endif
#ifdef WILD /* one more link, of a process that stores what it likes into its lease page */
#define WORDS (K + 1)
#define HELD_BY_WILD K
#else
#define WORDS K
#define HELD_BY_WILD 0
#endif
#ifdef DEEP /* one more link, granted at some time to a reader that takes nothing: its depth */
#define HISTORY_MOST DEEP
#define DEPTH_OF(link) ((link) == READERS -> DEEP : DEPTH)
#else
#define HISTORY_MOST DEPTH
#define DEPTH_OF(link) DEPTH
#endif
#if defined(WILD) || defined(DEEP)
#undef LINKS
#define LINKS (READERS + 1)
#endif
#ifdef MUT_ONE_SLOT_LESS
#define MISSING 1
#else
#define MISSING 0
#endif
#define N (1 + HISTORY_MOST + READERS * K + HELD_BY_WILD - MISSING)
#define INDEX 8

#define PUBLISHED 1
#define RETIRED 2
#define WRITING 3
#define STATE(seq, kind) ((seq) << 2 | (kind))
#define WORD(seq, slot) ((seq) << 3 | (slot))
#define SEQ(word) ((word) >> 3)
#define SLOT(word) ((word) & 7)

#define OPEN 0
#define ENDED 1

#define GRANTED 1
#define GONE 2
#define EVICTED 3
#define ENTRY(serial, kind) ((serial) << 2 | (kind))

/* ring: written by the writer */
byte head;
byte tail;
byte ring_state = OPEN;
byte index[INDEX];
byte state[N];
byte pixel0[N];
byte pixel1[N];
/* lease pages: each written by its reader */
byte lease[LINKS * WORDS];
byte waiting[LINKS];
/* bell pages: written by the writer */
byte bell[LINKS];
/* notice pages: written by the supervisor */
byte word;
byte entry[LINKS];
byte reader_word[LINKS];
bit reader_gone[LINKS];
/* sockets: links that the writer has made and the supervisor has not handed out, by serial */
byte offer[LINKS];
/* kernel */
bit asleep[LINKS];
byte dead[LINKS]; /* 1 killed; 2 no instruction of it runs any more: its pidfd is readable */
bit writer_dead;
/* ghost */
byte holds[LINKS * K]; /* slot + 1 that a living reader has by right */
bit evicted[LINKS];
bit out[LINKS];
bit writer_done;

inline wake(l)
{
    asleep[l] = 0
}

/* I1: nobody holds slot s while the writer stores into it. */
inline store_alone(place, value)
{
    d_step {
        g = 0;
        do
        :: g < LINKS * K ->
            assert(evicted[g / K] || holds[g] != s + 1);
            g++
        :: else -> break
        od;
        g = 0;
        place = value
    }
}

/* Read the entries of the writer's links again. One step for each entry. */
inline read_entries()
{
    i = 0;
    history = 1;
    do
    :: i < LINKS ->
        d_step {
            w = entry[i];
            if
#ifdef MUT_OLD_SERIAL
            :: w != 0 ->
#else
            :: (w >> 2) == serial[i] ->
#endif
                if
                :: (w & 3) == GRANTED ->
                    active_link[i] = 1;
                    history = (DEPTH_OF(i) > history -> DEPTH_OF(i) : history)
                :: (w & 3) == EVICTED -> active_link[i] = 0
#ifndef MUT_GONE_KEPT
                :: (w & 3) == GONE ->
                    active_link[i] = 0;
                    remake = 1
#endif
                :: else
                fi
            :: else -> active_link[i] = 0
            fi
        };
        /* A link is used once. The replacement is a fresh page with a new serial. */
        if
        :: remake ->
            d_step {
                remake = 0;
                serial[i]++;
                rung[i] = 0;
                k = 0;
                do
                :: k < WORDS -> lease[i * WORDS + k] = 0; k++
                :: else -> break
                od;
                k = 0;
                waiting[i] = 0;
                bell[i] = 0;
                dead[i] = 0;
                reader_gone[i] = 0;
                reader_word[i] = 0
            };
            offer[i] = serial[i]
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0;
    w = 0
}

inline read_notice()
{
    atomic {
        if
#ifdef MUT_NO_REREAD
        :: seen == 255 ->
#else
        :: word != seen ->
#endif
            seen = word;
            remake = 1
        :: else
        fi
    };
    if
    :: remake -> remake = 0; read_entries()
    :: else
    fi
}

inline ring_bells()
{
#ifndef MUT_NOTICE_IN_LOAN_ONLY
    read_notice(); /* a link granted since the loan may be asleep already */
#endif
    i = 0;
    do
    :: i < LINKS ->
        d_step {
            w = 0;
            if
            :: active_link[i] -> w = waiting[i]
            :: else
            fi
        };
        if
        :: w != 0 && w != rung[i] ->
            rung[i] = w;
#ifndef MUT_NO_BELL
            bell[i]++;
#endif
            wake(i)
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0;
    w = 0
}

proctype Writer()
{
    byte seq, i, k, w, s, g, busy, kept, history = 1, oldest = 1, seen;
    byte rung[LINKS], serial[LINKS], old[N];
    bit active_link[LINKS], remake;
    d_step {
        do
        :: i < LINKS -> serial[i] = 1; i++
        :: else -> break
        od;
        i = 0;
        seen = 255
    }
    {
        do
        :: seq < FRAMES ->
            /* loan */
            read_notice();
            busy = 0;
            do
            :: i < LINKS * WORDS ->
                d_step {
                    if
#ifdef MUT_SCAN_UNGRANTED
                    :: active_link[i / WORDS] && lease[i] != 0 ->
#else
                    :: active_link[i / WORDS] && i % WORDS < K && lease[i] != 0 ->
#endif
                        busy = busy | 1 << ((lease[i] - 1) & 7)
                    :: else
                    fi;
                    i++
                }
            :: else -> break
            od;
            i = 0;
            d_step {
                s = 0;
                do
                :: s < N && (((busy | kept) >> s) & 1) -> s++
                :: else -> break
                od;
                assert(s < N) /* I6 */
            };
#ifdef MUT_RETIRE_AFTER_SCAN /* what a missing fence in publish allows */
            if
            :: old[0] != 0 -> state[SLOT(old[0])] = STATE(SEQ(old[0]), RETIRED); old[0] = 0
            :: else
            fi;
#endif
#ifndef MUT_NO_WRITING
            state[s] = STATE(0, WRITING);
#endif
            store_alone(pixel0[s], seq + 1);
#ifdef MUT_STATE_BEFORE_PAYLOAD
            state[s] = STATE(seq + 1, PUBLISHED);
            head = WORD(seq + 1, s);
#endif
            store_alone(pixel1[s], seq + 1);
            /* publish */
            store_alone(state[s], STATE(seq + 1, PUBLISHED));
            seq++;
            index[seq % INDEX] = WORD(seq, s);
            kept = kept | 1 << s;
            head = WORD(seq, s);
#ifndef MUT_NOTICE_IN_LOAN_ONLY
            read_notice(); /* a link granted since the loan may need a deeper history */
#endif
            /* Tail never goes back: a deeper history begins with what is still there. */
            k = oldest;
            d_step {
#ifdef MUT_TAIL_BACK
                oldest = (seq > history -> seq - history + 1 : 1);
#else
                if
                :: seq >= history && seq - history + 1 > oldest -> oldest = seq - history + 1
                :: else
                fi
#endif
#ifdef MUT_RETIRE_SHORT
                ;
                oldest = (seq > 1 && seq - oldest + 1 >= DEPTH -> oldest + 1 : oldest)
#endif
            };
#ifndef MUT_RETIRE_BEFORE_TAIL
            tail = oldest;
#endif
            do
            :: k < oldest ->
                d_step {
                    w = index[k % INDEX];
                    kept = kept & ~(1 << SLOT(w));
#ifdef MUT_RETIRE_AFTER_SCAN
                    old[0] = w;
#else
#ifndef MUT_NO_RETIRE
                    state[SLOT(w)] = STATE(k, RETIRED);
#endif
#endif
                    k++;
                    w = 0
                }
            :: else -> break
            od;
#ifdef MUT_RETIRE_BEFORE_TAIL
            tail = oldest;
#endif
            ring_bells();
            k = 0;
            s = 0;
            busy = 0
        :: else -> break
        od;
#ifdef PAUSE /* no end to wake anybody: whoever sleeps now, sleeps */
        skip;
#elif defined(MUT_END_AFTER_BELLS)
        ring_bells();
        ring_state = ENDED;
#else
        ring_state = ENDED;
        ring_bells();
#endif
        writer_done = 1
    } unless { writer_dead }
}

/* One incarnation of a reader, on the link that it was given. */
proctype Reader(byte l; bit from_start)
{
    byte cursor, h, t, n, e, s, k, b, nt, st, episode, x, y, first;
    byte got[K];
    bit end, fits;
    {
        if
        :: from_start
        :: else ->
            h = head;
            d_step {
                first = SEQ(h);
                cursor = (first > 0 -> first - 1 : 0)
            }
        fi;
again:
        /* a free lease word, or the one of the oldest frame, which ends here */
        if
        :: got[k] == 0
        :: else ->
            s = holds[l * K + k] - 1;
            x = pixel0[s];
            y = pixel1[s];
            d_step { /* end-of-use check */
                st = state[s];
                fits = (st >> 2) == got[k] && (st & 3) != WRITING;
                assert(!fits || (x == got[k] && y == got[k])); /* I2 */
                assert(evicted[l] || fits);
                holds[l * K + k] = 0;
                got[k] = 0;
                x = 0;
                y = 0;
                st = 0;
                s = 0;
                fits = 0
            };
            lease[l * WORDS + k] = 0
        fi;
#ifdef PAUSE
        if
        :: cursor == FRAMES -> goto done
        :: else
        fi;
#endif
        /* wait */
        do
        :: true ->
#ifndef MUT_LATE_BELL
            b = bell[l];
#endif
#if (WRITER_KILLS || EVICTS) && !defined(MUT_LATE_NOTICE)
            nt = reader_word[l];
#endif
#if WRITER_KILLS || EVICTS
            end = reader_gone[l];
            if
            :: !end -> end = ring_state
            :: else
            fi;
#else
            end = ring_state;
#endif
#ifdef MUT_NOTICE_BEFORE_FRAMES
            if
            :: end -> goto done
            :: else
            fi;
#endif
            if
            :: SEQ(head) > cursor -> break
            :: else
            fi;
            if
            :: end -> goto done
            :: else
            fi;
#ifdef MUT_SAME_EPISODE
            episode = 1;
#else
            episode++;
#endif
            waiting[l] = episode;
#ifndef MUT_NO_STATE_RECHECK
            end = ring_state;
#endif
#ifndef MUT_NO_HEAD_RECHECK
            if
            :: SEQ(head) > cursor -> waiting[l] = 0; break
            :: else
            fi;
#endif
#ifdef MUT_LATE_BELL
            b = bell[l];
#endif
#ifdef MUT_LATE_NOTICE
            nt = reader_word[l];
#endif
            if
            :: end
            :: else ->
                /* futex_waitv: the kernel compares and queues in one step */
                d_step {
                    if
                    :: bell[l] == b && reader_word[l] == nt -> asleep[l] = 1
                    :: else
                    fi
                };
                !asleep[l]
            fi;
            waiting[l] = 0
        od;
        b = 0;
        nt = 0;
        end = 0;
        /* acquire */
        h = head;
#if IN_ORDER
        t = tail;
        d_step {
            n = (t > cursor + 1 -> t : cursor + 1);
            e = index[n % INDEX]
        };
        if
        :: SEQ(e) != n ->
            assert(tail > n || SEQ(head) > SEQ(h)); /* no try fails in vain */
            goto again
        :: else
        fi;
#else
        d_step {
            n = SEQ(h);
            e = h
        };
#endif
        lease[l * WORDS + k] = SLOT(e) + 1;
        d_step {
            if
#ifndef MUT_NO_VALIDATION
            :: state[SLOT(e)] == STATE(n, PUBLISHED) ->
#else
            :: true ->
#endif
                assert(n > cursor); /* I3: in order, never twice */
#if IN_ORDER                    /* I3: no loss within the depth; the first frame may go while the grant comes */
                assert(n == cursor + 1 || cursor + 1 == first || SEQ(head) >= cursor + 1 + DEPTH);
#endif
                got[k] = n;
                holds[l * K + k] = SLOT(e) + 1;
                cursor = n;
                k = (k + 1) % K
            :: else -> /* no try fails in vain */
                assert(SEQ(head) > SEQ(h) || tail > n);
                e = 255
            fi
        };
        if
        :: e == 255 -> lease[l * WORDS + k] = 0
        :: else
        fi;
        d_step {
            h = 0;
            t = 0;
            n = 0;
            e = 0
        };
        goto again;
done:
        b = 0;
        d_step {
            assert(evicted[l] || writer_dead || ring_state == ENDED || cursor == FRAMES);
            assert(evicted[l] || cursor == SEQ(head)); /* I3, I7: all that was published came first */
            k = 0;
            do
            :: k < K -> holds[l * K + k] = 0; k++
            :: else -> break
            od;
            out[l] = 1
        }
    } unless { dead[l] == 1 -> d_step {
                   cursor = 0; h = 0; t = 0; n = 0; e = 0; s = 0; k = 0; b = 0; nt = 0; st = 0;
                   episode = 0; x = 0; y = 0; first = 0; end = 0; fits = 0; got[0] = 0;
                   got[K - 1] = 0; dead[l] = 2 } }
}

/* Grants, deaths, evictions; and the hand that kills. */
active proctype Supervisor()
{
    byte l, j, live, joins, kills, writer_kills, evicts;
    atomic {
        do
        :: l < LINKS -> offer[l] = 1; l++
        :: else -> break
        od;
        l = 0;
        do
        :: l < START ->
            entry[l] = ENTRY(1, GRANTED);
            offer[l] = 0;
            live++;
            run Reader(l, 1);
            l++
        :: else -> break
        od;
#ifdef WILD
        entry[READERS] = ENTRY(1, GRANTED);
        offer[READERS] = 0;
        if
        :: lease[READERS * WORDS] = 0
        :: lease[READERS * WORDS] = 1
        :: lease[READERS * WORDS] = N
        :: lease[READERS * WORDS] = 200
        fi;
        if
        :: lease[READERS * WORDS + K] = N - 1
        :: lease[READERS * WORDS + K] = 200
        fi;
        run Wild();
#endif
        word = 1;
        l = 0;
        run Writer()
    };
    do
    :: joins < JOINS && live < READERS ->
        atomic {
            if
            :: offer[0] != 0 -> l = 0
#ifndef DEEP
            :: LINKS > 1 && offer[LINKS - 1] != 0 -> l = LINKS - 1
#endif
            :: writer_dead || writer_done -> goto nobody
            fi;
            joins++;
            live++;
            j = offer[l];
            offer[l] = 0;
            out[l] = 0
        };
#ifdef MUT_LATE_GRANT
        run Reader(l, 0);
#endif
#ifdef MUT_WORD_BEFORE_ENTRY
        word++;
        entry[l] = ENTRY(j, GRANTED);
#else
        entry[l] = ENTRY(j, GRANTED);
        word++;
#endif
#ifndef MUT_LATE_GRANT
        run Reader(l, 0);
#endif
nobody:
        l = 0
#if KILLS
    :: kills < KILLS ->
        atomic {
            if
            :: (entry[0] & 3) == GRANTED && !out[0] && !dead[0] -> l = 0
            :: LINKS > 1 && (entry[LINKS - 1] & 3) == GRANTED && !out[LINKS - 1] &&
                    !dead[LINKS - 1] -> l = LINKS - 1
            :: else -> goto spared
            fi;
            kills++;
#ifdef MUT_DEATH_BY_HEARTBEAT
            evicts = 0
#else
            dead[l] = 1;
            j = 0;
            do
            :: j < K -> holds[l * K + j] = 0; j++
            :: else -> break
            od;
            asleep[l] = 0
#endif
        };
#ifndef MUT_DEATH_BY_HEARTBEAT
        dead[l] == 2;
#endif
#ifdef MUT_SAME_LINK
        run Reader(l, 0);
#else
        entry[l] = entry[l] >> 2 << 2 | GONE;
        word++;
        live--;
#endif
spared:
        l = 0
#endif
#ifdef DEEP
    :: offer[READERS] != 0 ->
        offer[READERS] = 0;
        entry[READERS] = ENTRY(1, GRANTED);
        word++
#endif
#if EVICTS
    :: evicts < EVICTS && (entry[0] & 3) == GRANTED && !dead[0] ->
        evicts++;
        evicted[0] = 1; /* ghost: from here on the end-of-use check must tell */
        entry[0] = entry[0] >> 2 << 2 | EVICTED;
        word++;
        reader_gone[0] = 1;
        reader_word[0]++;
        wake(0)
#endif
#if WRITER_KILLS
    :: atomic { !writer_dead && !writer_done -> writer_dead = 1 };
        l = 0;
        do
        :: l < LINKS ->
            reader_gone[l] = 1;
            reader_word[l]++;
            wake(l);
            l++
        :: else -> break
        od;
        break
#endif
    :: true -> break
    od
}

#ifdef WILD /* the number of words it changes later */
proctype Wild()
{
    byte n;
    do
    :: n < WILD ->
        if
        :: lease[READERS * WORDS] = 0
        :: lease[READERS * WORDS] = 1
        :: lease[READERS * WORDS + K] = 2
        fi;
        n++
    :: true -> break
    od
}
#endif
