/* Offers: the links that a writer brings, new ones and those that its readers hold already. */
#include "stream.h"

#include "error.h"
#include "limits.h"
#include "server.h"
#include "step.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* ---- OFFER_LINK ---- */

static int check_wake(int fd) {
    int domain = 0, type = 0;
    socklen_t length = sizeof(domain);
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) < 0 || domain != AF_UNIX ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0 || type != SOCK_SEQPACKET)
        return error_set(-EPROTO,
                         "OFFER_LINK: the wake descriptor is not a local socket of a pair");
    return 0;
}

int stream_offer_check_fds(const int fd[3]) {
    int code = region_check(fd[0], REGION_LEASE, LINK_PAGE_BYTES, NULL);
    if (code == 0)
        code = region_check(fd[1], REGION_SEALED, LINK_PAGE_BYTES, NULL);
    if (code == 0)
        code = check_wake(fd[2]);
    return code;
}

/* An entry that a link of the writer's older ring has may go over to a link of the newer one. */
static int take_entry(struct stream_writer *writer, const struct stream_ring *ring,
                      uint32_t entry) {
    struct client *client = writer->client;
    if (entry >= NOTICE_ENTRIES)
        return error_set(-EPROTO, "a link has entry %u of %u", entry, NOTICE_ENTRIES);
    struct stream_link *link = NULL;
    if (client->entry_is_used[entry] && ring == writer->opening && writer->ring)
        TAILQ_FOREACH (link, &writer->ring->links, of_ring)
            if (link->entry == entry)
                break;
    if (link)
        stream_link_destroy(link);
    if (client->entry_is_used[entry])
        return error_set(-EPROTO, "a link has entry %u, which is in use", entry);
    client->entry_is_used[entry] = true;
    return 0;
}

static unsigned count_unused(const struct stream_ring *ring) {
    unsigned count = 0;
    const struct stream_link *link;
    TAILQ_FOREACH (link, &ring->links, of_ring)
        count += link->state == LINK_UNUSED;
    return count;
}

static int add_link(struct stream_ring *ring, uint32_t entry, uint32_t serial,
                    struct stream_link **out_link) {
    int code = take_entry(ring->writer, ring, entry);
    if (code < 0)
        return code;
    struct stream_link *link = calloc(1, sizeof(*link));
    if (!link) {
        ring->writer->client->entry_is_used[entry] = false;
        return error_set(-ENOMEM, "the supervisor has no memory");
    }
    *link =
        (struct stream_link){.ring = ring, .entry = entry, .serial = serial, .fd = {-1, -1, -1}};
    TAILQ_INSERT_TAIL(&ring->links, link, of_ring);
    *out_link = link;
    return 0;
}

static int add_unused(struct stream_ring *ring, struct channel_mail *mail) {
    const struct message_offer_link *offer = &mail->message.offer_link;
    if (count_unused(ring) >= LIMIT_LINKS_UNUSED)
        return error_set(-EPROTO, "OFFER_LINK: %d unused links are the limit", LIMIT_LINKS_UNUSED);
    struct stream_link *link;
    const int code = add_link(ring, offer->entry, offer->serial, &link);
    if (code < 0)
        return code;
    for (unsigned i = 0; i < 3; i++) {
        link->fd[i] = mail->fd[i];
        mail->fd[i] = -1;
    }
    return 0;
}

/* True: the offer belongs to a ring that was refused, or to a writer that has left. */
static bool is_to_ignore(struct stream_writer *writer) {
    if (!writer)
        return true;
    if (writer->offers_to_ignore == 0)
        return false;
    writer->offers_to_ignore--;
    return true;
}

int stream_offer_link(struct client *client, struct channel_mail *mail) {
    const struct message_offer_link *offer = &mail->message.offer_link;
    struct stream_writer *writer = stream_writer_find(client, offer->writer);
    if (is_to_ignore(writer))
        return 0;
    if (writer->opening && writer->opening->links_to_come > 0) {
        int code = add_unused(writer->opening, mail);
        if (code < 0)
            return code;
        writer->opening->links_to_come--;
        stream_writer_complete(writer);
        return 0;
    }
    struct stream_ring *ring = writer->ring;
    if (!ring || offer->generation > ring->generation)
        return error_set(-EPROTO, "OFFER_LINK for generation %u, which does not exist",
                         offer->generation);
    if (offer->generation < ring->generation)
        return 0; /* asked for before the newer ring came */
    int code = add_unused(ring, mail);
    if (code < 0)
        return code;
    if (ring->links_wanted > 0)
        ring->links_wanted--;
    stream_link_readers(writer->stream);
    return 0;
}

int stream_offer_lose(struct client *client, struct channel_mail *mail) {
    const struct message_offer_link *offer = &mail->message.offer_link;
    struct stream_writer *writer = stream_writer_find(client, offer->writer);
    if (is_to_ignore(writer))
        return 0;
    client_log(client, "event=link-lost stream=%s reason=%s", writer->stream->name,
               log_quote(shmframe_last_error()).text);
    if (writer->opening && writer->opening->links_to_come > 0) {
        writer->opening->links_to_come--;
        stream_writer_complete(writer);
    } else if (writer->ring && writer->ring->links_wanted > 0) {
        writer->ring->links_wanted--;
    }
    client->server->links_lost = true;
    return 0;
}

/* ---- HELD_LINK ---- */

static void tell_entry(struct client *client, const struct message_held_link *held,
                       struct grant grant) {
    notice_set_entry(&client->notice, held->entry, grant_word(grant), (pid_t)held->pid,
                     held->start_time);
}

/* A writer tells of whose links he likes, and of how much each has: with them he could use up the
 * limits of others. */
static enum stream_link_charge choose_charge(const struct stream_writer *writer,
                                             const struct process *holder) {
    const struct client *client = writer->client;
    if (client->permission.is_trusted || client->uid == holder->uid)
        return CHARGE_ALL;
    unsigned charged = 0;
    const struct stream_link *link;
    TAILQ_FOREACH (link, &writer->opening->links, of_ring)
        charged += link->holder == holder && link->charge != CHARGE_NONE;
    return charged < names_count_links(client->server, holder, writer->stream->name) ? CHARGE_READER
                                                                                     : CHARGE_NONE;
}

/* The holder lives, or nobody can tell now: the link is his until he claims it, or is found not to
 * want it. */
static int add_held(struct stream_writer *writer, const struct message_held_link *held,
                    struct grant grant) {
    struct process *holder = NULL;
    int code = process_find(writer->client->server, (pid_t)held->pid, held->start_time, &holder);
    const int uid_code = code == 0 ? process_read_uid(holder) : code;
    if (code == -ESRCH || uid_code == -ESRCH) {
        process_release(holder);
        grant.state = ENTRY_GONE;
        tell_entry(writer->client, held, grant);
        stream_link_tell_gone(writer, (pid_t)held->pid);
        return 0;
    }
    struct stream_link *link;
    code = add_link(writer->opening, held->entry, grant.serial, &link);
    if (code < 0) {
        process_release(holder);
        return code;
    }
    link->charge = uid_code == 0 ? choose_charge(writer, holder) : CHARGE_NONE;
    link->state = LINK_HELD;
    link->grant = grant;
    link->holder = holder;
    link->holder_pid = (pid_t)held->pid;
    link->holder_start_time = held->start_time;
    tell_entry(writer->client, held, grant);
    return 0;
}

int stream_offer_held(struct client *client, struct channel_mail *mail) {
    const struct message_held_link *held = &mail->message.held_link;
    struct stream_writer *writer = stream_writer_find(client, held->writer);
    if (is_to_ignore(writer))
        return 0;
    struct stream_ring *ring = writer->opening;
    if (!ring || ring->held_to_come == 0 || held->generation != ring->generation)
        return error_set(-EPROTO, "HELD_LINK, which no OPEN_RING announced");
    const struct grant grant = grant_from_word(held->word);
    if (held->entry >= NOTICE_ENTRIES || client->entry_is_used[held->entry])
        return error_set(-EPROTO, "HELD_LINK has entry %u, which is in use or does not exist",
                         held->entry);
    if (grant.leases > SHMFRAME_LEASES_MAX || grant.depth > SHMFRAME_DEPTH_MAX)
        return error_set(-EPROTO, "HELD_LINK tells of a grant that nobody gives");
    if (grant.state == ENTRY_GRANTED) {
        int code = add_held(writer, held, grant);
        if (code < 0)
            return code;
    } else {
        tell_entry(client, held, grant);
    }
    ring->held_to_come--;
    STEP(HELD_TAKEN);
    stream_writer_complete(writer);
    return 0;
}
