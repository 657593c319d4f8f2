"""The library's checks: what is taken out, and which tests must fail."""

S = "shmframe/src/"


def never(condition):
    """`condition`, and one that never holds in its place."""
    return condition, "if (false)" + (" {" if condition.endswith("{") else "")


# name, file, text, text instead, tests. The text is there once.
REGION = [
    ("region: other seals", S + "region.c", *never("if ((seals & ~F_SEAL_EXEC) != wanted)"), "region"),
    ("region: another size", S + "region.c", "(bytes != 0 && (uint64_t)info.st_size != bytes)", "false", "region"),
    ("region: no size at all", S + "region.c", "info.st_size <= 0 ||", "", "region"),
    ("region: memory of another kind", S + "region.c", " || (unsigned long)system.f_type != TMPFS_MAGIC", "", "region"),
    ("region: another access", S + "region.c", *never("if (!has_access(fd, seal))"), "region"),
    ("region: lease page not sealed", S + "region.c", *never("if (fcntl(fd, F_ADD_SEALS, SEALS_END) < 0) {"), "region"),
    ("region: future writers", S + "region.c", "SEALS_END = F_SEAL_FUTURE_WRITE | F_SEAL_SEAL", "SEALS_END = F_SEAL_SEAL", "region"),
    ("region: later seals", S + "region.c", "SEALS_END = F_SEAL_FUTURE_WRITE | F_SEAL_SEAL", "SEALS_END = F_SEAL_FUTURE_WRITE", "region"),
    ("region: may grow", S + "region.c", "SEALS_SIZE = F_SEAL_SHRINK | F_SEAL_GROW", "SEALS_SIZE = F_SEAL_SHRINK", "region"),
    ("region: may shrink", S + "region.c", "SEALS_SIZE = F_SEAL_SHRINK | F_SEAL_GROW", "SEALS_SIZE = F_SEAL_GROW", "region"),
    ("region: populates beyond its end", S + "region.c", "if (offset > region->bytes || bytes > region->bytes - offset)", "if (offset > region->bytes)", "region"),
    ("region: populates behind its end", S + "region.c", "if (offset > region->bytes || bytes > region->bytes - offset)", "if (bytes > region->bytes - offset)", "region"),
    ("region: beyond the file limit", S + "region.c", " || exceeds_file_limit(bytes)", "", "region"),
    ("region: mode of its file", S + "region.c", *never("if (fchmod(fd, 0400) < 0) {"), "region"),
    ("region: inherited by children", S + "region.c", *never("if (madvise(base, bytes, MADV_DONTFORK) < 0) {"), "region"),
    ("region: mapped for writing by all", S + "region.c", "map_fd(fd, bytes, PROT_READ, out_region)", "map_fd(fd, bytes, PROT_READ | PROT_WRITE, out_region)", "region library-link"),
]

LAYOUT = [
    ("layout: mark", S + "layout.c", *never("if (geometry->magic != RING_MAGIC)"), "layout"),
    ("layout: abi", S + "layout.c", *never("if (geometry->abi != LAYOUT_ABI)"), "layout"),
    ("layout: header's size", S + "layout.c", *never("if (geometry->header_bytes != sizeof(struct ring))"), "layout"),
    ("layout: size of its memory", S + "layout.c", *never("if (geometry->ring_bytes != memfd_bytes)"), "layout"),
    ("layout: no slots", S + "layout.c", "geometry->slots == 0 || geometry->slots > RING_SLOTS_MAX", "geometry->slots > RING_SLOTS_MAX", "layout"),
    ("layout: too many slots", S + "layout.c", "geometry->slots == 0 || geometry->slots > RING_SLOTS_MAX", "geometry->slots == 0", "layout"),
    ("layout: slots in the header", S + "layout.c", "geometry->payload_offset < sizeof(struct ring) ||\n", "", "layout"),
    ("layout: slots not at a page", S + "layout.c", "geometry->payload_offset % PAGE_BYTES != 0 || ", "", "layout"),
    ("layout: slots of no size", S + "layout.c", "geometry->slot_stride == 0 ||\n", "", "layout"),
    ("layout: slots not of pages", S + "layout.c", " ||\n        geometry->slot_stride % PAGE_BYTES != 0)", ")", "layout"),
    ("layout: product overflows", S + "layout.c", "__builtin_mul_overflow(geometry->slot_stride, (uint64_t)geometry->slots, &slots_bytes)", "(slots_bytes = geometry->slot_stride * geometry->slots, false)", "layout"),
    ("layout: sum overflows", S + "layout.c", "__builtin_add_overflow(geometry->payload_offset, slots_bytes, &end)", "(end = geometry->payload_offset + slots_bytes, false)", "layout"),
    ("layout: slots elsewhere", S + "layout.c", " ||\n        end != geometry->ring_bytes)", ")", "layout"),
    ("layout: stream's name without end", S + "layout.c", "!is_terminated(geometry->stream, sizeof(geometry->stream)) ||\n", "", "layout"),
    ("layout: group's name without end", S + "layout.c", " ||\n        !is_terminated(geometry->group, sizeof(geometry->group)))", ")", "layout"),
    ("layout: stream's name is none", S + "layout.c", "!shmframe_name_is_valid(geometry->stream) ||\n", "", "layout"),
    ("layout: group's name is none", S + "layout.c", " ||\n        (geometry->group[0] && !shmframe_name_is_valid(geometry->group)))", ")", "layout"),
    ("layout: frame larger than a slot", S + "layout.c", " ||\n        format->slot_bytes > geometry->slot_stride)", ")", "layout"),
    ("layout: no planes", S + "layout.c", *never("if (format->plane_count == 0)"), "layout"),
    ("layout: format not looked at", S + "layout.c", "int code = format_check(format);", "int code = 0;", "layout"),
    ("layout: more slots than a ring has", S + "layout.c", *never("if (slots_min > RING_SLOTS_MAX)"), "layout api-plan"),
    ("layout: no room for the slots", S + "layout.c", *never("if (slots == 0 || slots < slots_min)"), "layout"),
]

FORMAT = [
    ("format: text without end", S + "format_check.c", *never("if (length == texts[i].bytes) {"), "format layout"),
    ("format: bytes that are no text", S + "format_check.c", *never("if (text[c] < ' ' || text[c] > '~')"), "format layout"),
    ("format: bytes behind a text", S + "format_check.c", "            if (text[c])\n", "            if (false)\n", "format layout"),
    ("format: fraction", S + "format_check.c", *never("if (value.den <= 0 || value.num < 0 || (value.num == 0 && !may_be_zero)) {"), "format"),
    ("format: side", S + "format_check.c", *never("if (value < 1 || value > max)"), "format"),
    ("format: picture outside of what is coded", S + "format_check.c", "if ((uint64_t)video->crop_left + video->width > format_coded_width(video) ||\n", "if (", "format"),
    ("format: crop overflows", S + "format_check.c", "(uint64_t)video->crop_top + video->height >", "video->crop_top + video->height >", "format"),
    ("format: field order", S + "format_check.c", *never("if (video->field_order > SHMFRAME_BOTTOM_FIRST) {"), "format"),
    ("format: rotation", S + "format_check.c", *never("if (rotation != 0 && rotation != 90 && rotation != 180 && rotation != 270) {"), "format"),
    ("format: light", S + "format_check.c", *never("if (!is_unknown && (values[i].num < 0 || values[i].den <= 0)) {"), "format"),
    ("format: channels", S + "format_check.c", *never("if (audio->channels < 1 || audio->channels > SHMFRAME_CHANNELS_MAX) {"), "format"),
    ("format: sample rate", S + "format_check.c", *never("if (audio->sample_rate < 1 || audio->sample_rate > SAMPLE_RATE_MAX) {"), "format"),
    ("format: no samples", S + "format_check.c", *never("if (audio->samples_max < 1)"), "format"),
    ("format: reserved word", S + "format_check.c", *never("if (audio->reserved)"), "format"),
    ("format: size of data", S + "format_check.c", *never("if (data->bytes_max < 1 || data->bytes_max > SHMFRAME_DATA_MAX) {"), "format"),
    ("format: kind", S + "format_check.c", *never("if (format->kind > SHMFRAME_DATA)"), "format"),
    ("format: fields of other kinds", S + "format_check.c", "(format->kind != SHMFRAME_AUDIO && !format_is_zero(&format->audio, sizeof format->audio)) ||\n", "", "format"),
    ("format: names", S + "format_check.c", *never("if (names[i].text[0] && names[i].find(names[i].text) < 0) {"), "format"),
    ("format: channel layout", S + "format_check.c", *never("if (!fits) {"), "format"),
    ("format: hardware", S + "format_check.c", *never("if (descriptor->flags & AV_PIX_FMT_FLAG_HWACCEL) {"), "format"),
]

MESSAGES = [
    ("message: shorter than a header", S + "message.c", *never("if (bytes < sizeof(*header))"), "message channel"),
    ("message: mark", S + "message.c", *never("if (header->magic != MESSAGE_MAGIC)"), "message"),
    ("message: abi", S + "message.c", *never("if (header->abi != LAYOUT_ABI)"), "message"),
    ("message: type", S + "message.c", "if (!is_type(header->type))\n        return error_set(-EPROTO, \"a message is of unknown", "if (false)\n        return error_set(-EPROTO, \"a message is of unknown", "message"),
    ("message: size", S + "message.c", "bytes != rule->bytes || message", "message", "message"),
    ("message: size that it says", S + "message.c", " || message->header.bytes != rule->bytes)", ")", "message"),
    ("message: descriptors", S + "message.c", *never("if (fds != rule->fds)"), "message"),
    ("message: texts", S + "message.c", "return check_texts(message, rule);", "return 0;", "message"),
    ("channel: too many descriptors", S + "channel.c", *never("if (mail->fds > MESSAGE_FDS_MAX)"), "channel"),
    ("channel: lost descriptors", S + "channel.c", *never("if (flags & MSG_CTRUNC)"), "channel"),
    ("channel: cut message", S + "channel.c", *never("if (flags & MSG_TRUNC)"), "channel"),
    ("channel: descriptors go on to children", S + "channel.c", "MSG_DONTWAIT | MSG_CMSG_CLOEXEC", "MSG_DONTWAIT", "channel"),
    ("channel: sending waits", S + "channel.c", "MSG_NOSIGNAL | MSG_DONTWAIT", "MSG_NOSIGNAL", "channel"),
    ("channel: path too long", S + "channel.c", " || (size_t)length >= limit)", ")", "channel"),
    ("channel: descriptors of a refused message", S + "channel.c", "    if (code < 0)\n        channel_close_fds(out_mail);\n", "", "channel"),
]

LINK = [
    ("link: ring too short", S + "link.c", *never("if (bytes < sizeof(struct ring))"), "library-link"),
    ("link: ring's seals", S + "link.c", "int code = region_check(fd, REGION_SEALED, 0, &bytes);", "int code = 0;\n    bytes = (size_t)lseek(fd, 0, SEEK_END);", "library-link"),
    ("link: geometry", S + "link.c", "code = layout_check(&link->geometry, bytes);", "code = 0;", "library-link"),
    ("link: another stream's ring", S + "link.c", *never("if (code == 0 && strcmp(link->geometry.stream, stream) != 0)"), "library-link"),
    ("link: lease page", S + "link.c", "int code = region_check(fd, REGION_LEASE, LINK_PAGE_BYTES, NULL);", "int code = 0;", "library-link"),
    ("link: bell page", S + "link.c", "code = region_check(fd, REGION_SEALED, LINK_PAGE_BYTES, NULL);", "code = 0;", "library-link"),
    ("link: wake descriptor", S + "link.c", " || type != SOCK_SEQPACKET)", ")", "library-link"),
    ("link: no leases", S + "link.c", "message->leases == 0 || ", "", "library-link"),
    ("link: too many leases", S + "link.c", "message->leases > SHMFRAME_LEASES_MAX || ", "", "library-link"),
    ("link: no generation", S + "link.c", " || message->generation == 0)", ")", "library-link"),
    ("link: more slots than there are", S + "link.c", "message->slots < geometry->slots ? message->slots : geometry->slots", "message->slots", "library-link"),
    ("link: writer may write leases", S + "link.c", "return region_map(*out_fd, LINK_PAGE_BYTES, out_region);", "return region_map_lease(*out_fd, LINK_PAGE_BYTES, out_region);", "library-link"),
]

SESSION = [
    ("session: entries of the page", S + "session_wire.c", *never("if (mail->message.welcome.entries != NOTICE_ENTRIES)"), "api-limits"),
    ("session: messages of sessions", S + "session_wire.c", *never("if (!message_is_from_supervisor(type))"), "api-limits"),
    ("session: before WELCOME", S + "session_wire.c", *never("if (type != MESSAGE_ERROR)"), "api-limits"),
    ("session: WELCOME twice", S + "session_wire.c", "if (type == MESSAGE_WELCOME)\n        return error", "if (false)\n        return error", "api-limits"),
    ("session: notice page", S + "session.c", "int code = region_check(fd, REGION_SEALED, NOTICE_BYTES, NULL);", "int code = 0;", "api-limits"),
    ("session: entries are used up", S + "session.c", "        if (session->entry_used[entry / 64] & bit)\n            continue;\n", "", "library-link"),
    ("session: long verb", S + "session.c", " || strlen(verb) >= SHMFRAME_VERB_BYTES)", ")", "api-request api-errors"),
    ("session: no verb", S + "session.c", "!verb[0] || strlen", "strlen", "api-request api-errors"),
    ("session: long argument", S + "session.c", *never("if (argument && strlen(argument) >= SHMFRAME_ARGUMENT_BYTES)"), "api-request api-errors"),
    ("session: stream's name", S + "session.c", "if (stream && shmframe_name_is_valid(stream))", "if (stream)", "api-errors api-request"),
    ("session: long path", S + "session.c", *never("if (strlen(params->socket) >= sizeof(session->path))"), "api-limits"),
    ("session: answer of another question", S + "session.c", "call->cookie != message->header.cookie || ", "", "api-request api-threads api-errors"),
    ("reader: policy", S + "reader_mail.c", *never("if ((unsigned)params->policy > SHMFRAME_LOSSLESS)"), "api-errors api-policy"),
    ("reader: depth", S + "reader_mail.c", *never("if (params->depth > SHMFRAME_DEPTH_MAX)"), "api-errors api-policy"),
    ("reader: leases", S + "reader_mail.c", *never("if (params->leases > SHMFRAME_LEASES_MAX)"), "api-errors api-policy"),
    ("reader: events overwrite each other", S + "reader_mail.c", *never("if (reader->event_count == READER_EVENTS_MAX) {"), "api-waiting"),
    ("reader: rings kept without limit", S + "reader_mail.c", *never("if (reader->rings == HELD_RINGS_MAX)"), "api-follow api-restart"),
    ("reader: evicted, asks the next supervisor", S + "reader_mail.c", "!is_evicted(reader) && send_open", "send_open", "api-restart api-events-losses"),
    ("reader: losses told, and not counted", S + "reader.c", "    record_lost(&reader->record, overrun);\n", "", "api-policy api-restart"),
    ("reader: descriptors without room for them, not told", S + "session_wire.c", "    if (reader)\n        reader->ops->take_mail", "    if (reader && reader->is_opening)\n        reader->ops->take_mail", "api-limits"),
    ("writer: memory takes of the supervisor's time", S + "writer_open.c", *never("if (deadline->is_default)"), "api-impostor"),
    ("writer: a lost stream in another format", S + "writer_open.c", "return writer->is_lost ? writer_say_lost(writer) : code;", "return code;", "api-calls"),
    ("writer: events without limit", S + "writer_events.c", *never("if (writer->event_count == WRITER_EVENTS_MAX)"), "api-capacity"),
    ("writer: answer too long", S + "writer_events.c", *never("if (text && strlen(text) >= SHMFRAME_ARGUMENT_BYTES)"), "api-request api-errors"),
    ("writer: positive status", S + "writer_events.c", *never("if (status > 0)"), "api-request api-errors"),
    ("writer: answer to nothing", S + "writer_events.c", "struct writer_request *place = request ? find_request", "struct writer_request *place = true ? find_request", "api-request api-errors"),
    ("writer: grant of a link before", S + "writer_mail.c", "return grant.serial == link->serial && grant.state == ENTRY_GRANTED;", "return grant.state == ENTRY_GRANTED;", "api-impostor"),
    ("writer: links of before are given out", S + "writer_mail.c", "const uint32_t links = is_resync ? 0 : WRITER_LINKS;", "const uint32_t links = WRITER_LINKS;", "api-impostor"),
]

PLAN = [
    ("plan: depth", S + "ring_plan.c", *never("if (depth > SHMFRAME_DEPTH_MAX)"), "api-plan"),
    ("plan: leases", S + "ring_plan.c", *never("if (leases > RING_SLOTS_MAX)"), "api-plan"),
    ("plan: counts", S + "ring_plan.c", "const int code = writer_check_counts(params);", "const int code = 0;", "api-plan"),
    ("plan: room", S + "ring_plan.c", *never("if (needed + WRITER_SPARE_SLOTS > geometry.slots)"), "api-plan"),
    ("plan: format", S + "ring_plan.c", "        code = shmframe_format_complete(&format);\n    if (code < 0)\n        return code;", "        shmframe_format_complete(&format);", "api-plan"),
]

RECORD = [
    ("record: mark", S + "record_read.c", "page->magic != RECORD_MAGIC || ", "", "library-record"),
    ("record: abi", S + "record_read.c", " || page->abi != LAYOUT_ABI)", ")", "library-record"),
    ("record: hop", S + "record_read.c", *never("if ((unsigned)hop >= SHMFRAME_HOPS)"), "library-record"),
    ("record: another overrun by now", S + "record_read.c", "    return atomic_load_explicit(&line->number, memory_order_relaxed) == number;\n}\n\nint record_get_overruns", "    return true;\n}\n\nint record_get_overruns", "library-record"),
    ("record: more flights than asked for", S + "record_read.c", "found < count ? found : count", "found", "library-record"),
    ("record: doing what nobody does", S + "record_read.c", *never("if (out->doing > SHMFRAME_DOING_POLLING)"), "library-record"),
    ("record: name of no cause", S + "record_read.c", "cause < SHMFRAME_CAUSES ? names[cause] : NULL", "names[cause]", "api-errors"),
    ("ledger: cause that no writer tells of", S + "ledger_read.c", " &&\n           cause >= SHMFRAME_CAUSE_WRITER_LATE && cause <= SHMFRAME_CAUSE_POOL;", ";", "library-ledger server-watch"),
    ("ledger: another line by now", S + "ledger_read.c", "return atomic_load_explicit(&line->number, memory_order_relaxed) == number &&", "return", "library-ledger"),
    ("ledger: more lines than there are", S + "ledger_read.c", "news < RING_INCIDENTS ? (uint32_t)news : RING_INCIDENTS", "(uint32_t)news", "library-ledger"),
    ("ledger: a period that cannot be", S + "ledger_read.c", "counters->period_ns > 0 && counters->period_ns < now_ns / PERIODS ? ", "counters->period_ns > 0 ? ", "library-ledger server-watch"),
]

LIBRARY = REGION + LAYOUT + FORMAT + MESSAGES + LINK + SESSION + PLAN + RECORD
