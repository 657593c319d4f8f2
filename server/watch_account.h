/* What the watch's files about readers share. */
#ifndef SERVER_WATCH_ACCOUNT_H
#define SERVER_WATCH_ACCOUNT_H

#include "watch.h"

struct record_page;
struct shmframe_reader_state;

/* ---- watch_reader.c ---- */
/* NULL: it is not watched. */
const struct record_page *watch_record(const struct stream_reader *reader);
/* An event about it. */
struct shmframe_event watch_reader_event(const struct stream_reader *reader,
                                         enum shmframe_event_type type);
void watch_reader_blame(struct shmframe_event *event);
/* Its account is told so far with this event. `is_private`: it says what the reader measured. */
void watch_reader_tell(struct stream_reader *reader, const struct shmframe_event *event,
                       const struct journal_mark *mark, bool is_private);
bool watch_reader_blocks(const struct stream_reader *reader, int64_t since_ns);
/* Of a hold or stall, with its end. */
bool watch_reader_may_tell(struct stream_reader *reader, int64_t now_ns);
struct journal_payer watch_reader_payer(struct stream_reader *reader);

/* ---- watch_loss.c ---- */
void watch_tell_losses(struct stream_reader *reader, int64_t now_ns);
/* Of one who writes no more: also what it counted and was killed before it wrote it down, and what
 * it has no budget for any more. */
void watch_tell_last_losses(struct stream_reader *reader, int64_t now_ns);

/* ---- watch_hold.c ---- */
void watch_look_at_hold(struct stream_reader *reader, const struct shmframe_reader_state *state,
                        int64_t now_ns);
void watch_look_at_sleep(struct stream_reader *reader, const struct shmframe_reader_state *state,
                         int64_t now_ns);
/* It is over with the reader's place: `text` tells how. */
void watch_end_hold(struct stream_reader *reader, int64_t now_ns, const char *text);

#endif
