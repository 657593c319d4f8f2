/* inih reads the lines, with some care: libraries differ in how long a line may be, cut longer
 * ones, and what follows a ';' and a blank; they tell neither lines nor sections without keys, and
 * of long names only the beginning. So every line comes from a reader of ours, which counts and
 * checks it, notes the sections, and hides each ';'. */
#include "config_text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FILE_MAX = 1 << 20,
    LINE_MAX_BYTES = 4096,
    HIDDEN_SEMICOLON = 0x1f, /* no byte of a text */
};

struct lines {
    const char *at;
    const char *end;
    unsigned number; /* of the line that was read last */
    bool is_indented;
    bool is_awaited;  /* the line is to give an entry */
    bool has_key;     /* inih has one in this section: an indented line goes on with its value */
    bool is_unnamed;  /* sections need no name */
    bool is_left_out; /* the section has a mistake, so its entries are passed over */
    struct config_text *text;
    struct config_problems *problems;
};

/* What stood on a line and gave no entry is no entry. */
static void tell_unread(struct lines *lines) {
    if (lines->is_awaited)
        config_problem_add(lines->problems, lines->number,
                           "expected KEY = VALUE, [KIND NAME] or a comment that begins with #");
    lines->is_awaited = false;
}

static bool is_text(unsigned char byte) {
    return (byte >= ' ' && byte != 0x7f) || byte == '\t';
}

/* The parts of "[KIND NAME]", which are not copied. */
struct header {
    const char *kind, *name;
    int kind_length, name_length;
};

static bool split_header(const char *line, bool is_unnamed, struct header *out_header) {
    static const char blanks[] = " \t";
    const char *kind = line + 1 + strspn(line + 1, blanks);
    const size_t kind_length = strcspn(kind, " \t]");
    const char *name = kind + kind_length + strspn(kind + kind_length, blanks);
    const size_t name_length = strcspn(name, " \t]");
    const char *end = name + name_length + strspn(name + name_length, blanks);
    *out_header = (struct header){kind, name, (int)kind_length, (int)name_length};
    if (!kind_length || (!name_length && !is_unnamed) || *end != ']')
        return false;
    end += 1 + strspn(end + 1, blanks);
    return *end == '\0' || *end == '#' || *end == ';';
}

static void add_section(struct lines *lines, const struct header *header) {
    struct config_text *text = lines->text;
    if (!config_grow((void **)&text->section, text->sections, sizeof(*text->section),
                     lines->problems))
        return;
    struct config_section *section = &text->section[text->sections];
    *section = (struct config_section){
        .line = lines->number,
        .kind = strndup(header->kind, (size_t)header->kind_length),
        .name = strndup(header->name, (size_t)header->name_length),
    };
    text->sections++;
    lines->is_left_out = false;
    if (!section->kind || !section->name)
        lines->problems->is_out_of_memory = true;
}

static const char *example(const struct lines *lines) {
    return lines->is_unnamed ? "[limits]" : "[producer cam]";
}

static void begin_section(struct lines *lines, const char *line) {
    struct header header;
    /* Without "]" inih stays in the section before. */
    lines->has_key = lines->has_key && !strchr(line, ']');
    lines->is_left_out = true;
    if (split_header(line, lines->is_unnamed, &header))
        add_section(lines, &header);
    else
        config_problem_add(lines->problems, lines->number,
                           "expected a section such as %s, not \"%.100s\"", example(lines), line);
}

/* Takes note of a line before inih reads it. Whether it is to. */
static bool note_line(struct lines *lines, const char *line) {
    const char *start = line + strspn(line, " \t");
    lines->is_indented = start > line;
    if (*start == '\0' || *start == '#' || *start == ';')
        return false;
    if (*start == '[' && !(lines->is_indented && lines->has_key))
        begin_section(lines, start);
    else
        lines->is_awaited = true;
    return true;
}

static void hide_semicolons(char *line) {
    for (char *at = line; (at = strchr(at, ';')); at++)
        *at = HIDDEN_SEMICOLON;
}

/* One line without its end, checked. Returns false if it cannot be used. */
static bool copy_line(struct lines *lines, char *line, size_t line_max) {
    const char *newline = memchr(lines->at, '\n', (size_t)(lines->end - lines->at));
    const char *start = lines->at;
    const char *end = newline ? newline : lines->end;
    lines->at = newline ? newline + 1 : lines->end;
    lines->number++;
    if (end > start && end[-1] == '\r')
        end--;
    for (const char *at = start; at < end; at++)
        if (!is_text((unsigned char)*at)) {
            config_problem_add(lines->problems, lines->number,
                               "expected text, not the byte 0x%02x (column %zu)",
                               (unsigned char)*at, (size_t)(at - start) + 1);
            return false;
        }
    const size_t length = (size_t)(end - start);
    if (length > line_max) {
        config_problem_add(lines->problems, lines->number,
                           "expected a line of at most %zu bytes, not of %zu; a value goes on in "
                           "the next line, if that begins with a blank",
                           line_max, length);
        return false;
    }
    memcpy(line, start, length);
    line[length] = '\0';
    return true;
}

/* The next line; "" where there is nothing to read for inih. */
static void take_line(struct lines *lines, char *line, size_t line_max) {
    const bool is_header = *lines->at == '[';
    const bool is_good = copy_line(lines, line, line_max);
    if (!is_good && is_header)
        lines->is_left_out = true;
    if (!is_good || !note_line(lines, line))
        line[0] = '\0';
    hide_semicolons(line);
}

/* inih's reader: like fgets(). */
static char *read_line(char *line, int size, void *stream) {
    struct lines *lines = stream;
    tell_unread(lines);
    if (lines->at == lines->end)
        return NULL;
    take_line(lines, line, (size_t)size - 1);
    return line;
}

static char *copy_shown(const char *text) {
    char *copy = strdup(text);
    for (char *at = copy; at && (at = strchr(at, HIDDEN_SEMICOLON)); at++)
        *at = ';';
    return copy;
}

static void add_entry(struct lines *lines, const char *key, const char *value, bool goes_on) {
    struct config_section *section = &lines->text->section[lines->text->sections - 1];
    if (!config_grow((void **)&section->entry, section->entries, sizeof(*section->entry),
                     lines->problems))
        return;
    struct config_entry *entry = &section->entry[section->entries++];
    *entry = (struct config_entry){
        .line = lines->number,
        .key = copy_shown(key),
        .value = copy_shown(value),
        .goes_on = goes_on,
    };
    if (!entry->key || !entry->value)
        lines->problems->is_out_of_memory = true;
}

/* inih's handler: one key, or one more line of its value. Its section's name may be cut. */
static int handle_entry(void *user, const char *section, const char *key, const char *value) {
    struct lines *lines = user;
    (void)section;
    const bool goes_on = lines->is_indented && lines->has_key;
    lines->is_awaited = false;
    if (!goes_on)
        lines->has_key = *key != '\0';
    if (lines->is_left_out)
        return 1;
    if (!lines->text->sections)
        config_problem_add(lines->problems, lines->number,
                           "expected a section such as %s before the first key", example(lines));
    else if (!*key)
        config_problem_add(lines->problems, lines->number, "expected a key before the \"=\"");
    else
        add_entry(lines, key, value, goes_on);
    return 1;
}

static void parse(const char *bytes, size_t count, bool is_unnamed, struct config_text *out_text,
                  struct config_problems *problems) {
    static const char mark[] = {'\xef', '\xbb', '\xbf'};
    struct lines lines = {.at = bytes,
                          .end = bytes + count,
                          .is_unnamed = is_unnamed,
                          .text = out_text,
                          .problems = problems};
    *out_text = (struct config_text){0};
    if (memchr(bytes, '\0', count)) {
        config_problem_add(problems, 0, "expected a text in UTF-8: it has bytes that are 0");
        return;
    }
    if (count >= sizeof(mark) && memcmp(bytes, mark, sizeof(mark)) == 0)
        lines.at += sizeof(mark);
#ifdef INI_MAX_LINE_IS_VARIABLE
    ini_max_line = LINE_MAX_BYTES;
#endif
    if (ini_parse_stream(read_line, &lines, handle_entry, &lines) == -2)
        problems->is_out_of_memory = true;
    tell_unread(&lines);
}

void config_text_parse(const char *bytes, size_t count, struct config_text *out_text,
                       struct config_problems *problems) {
    parse(bytes, count, false, out_text, problems);
}

void config_text_parse_unnamed(const char *bytes, size_t count, struct config_text *out_text,
                               struct config_problems *problems) {
    parse(bytes, count, true, out_text, problems);
}

void config_text_destroy(struct config_text *text) {
    for (size_t i = 0; i < text->sections; i++) {
        struct config_section *section = &text->section[i];
        for (size_t k = 0; k < section->entries; k++) {
            free(section->entry[k].key);
            free(section->entry[k].value);
        }
        free(section->entry);
        free(section->kind);
        free(section->name);
    }
    free(text->section);
    *text = (struct config_text){0};
}

static char *read_whole(int fd, size_t *out_bytes, struct config_problems *problems) {
    char *bytes = malloc(FILE_MAX + 1);
    size_t count = 0;
    ssize_t got = 1;
    if (!bytes) {
        problems->is_out_of_memory = true;
        return NULL;
    }
    while (got > 0 && count <= FILE_MAX) {
        got = read(fd, bytes + count, FILE_MAX + 1 - count);
        count += got > 0 ? (size_t)got : 0;
    }
    if (got < 0)
        config_problem_add(problems, 0, "it cannot be read: %s", strerror(errno));
    else if (count > FILE_MAX)
        config_problem_add(problems, 0, "expected a file of at most %d bytes", FILE_MAX);
    else {
        *out_bytes = count;
        return bytes;
    }
    free(bytes);
    return NULL;
}

static bool is_own(const struct stat *status, struct config_problems *problems) {
    if (status->st_uid != 0 && status->st_uid != geteuid())
        config_problem_add(problems, 0, "expected a file of root or of user %u, not of user %u",
                           (unsigned)geteuid(), (unsigned)status->st_uid);
    else if (status->st_mode & (S_IWGRP | S_IWOTH))
        config_problem_add(problems, 0,
                           "expected a file that only its owner can write (chmod go-w), not one "
                           "of mode %04o",
                           (unsigned)status->st_mode & 07777);
    else
        return true;
    return false;
}

static char *load(const char *path, bool must_be_own, size_t *out_bytes,
                  struct config_problems *problems) {
    /* Without O_NONBLOCK a pipe would be waited for. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    char *bytes = NULL;
    if (fd < 0 || fstat(fd, &status) < 0)
        config_problem_add(problems, 0, "it cannot be read: %s", strerror(errno));
    else if (S_ISDIR(status.st_mode))
        config_problem_add(problems, 0, "expected a file, not a folder");
    else if (!S_ISREG(status.st_mode))
        config_problem_add(problems, 0, "expected a regular file");
    else if (!must_be_own || is_own(&status, problems))
        bytes = read_whole(fd, out_bytes, problems);
    if (fd >= 0)
        close(fd);
    return bytes;
}

char *config_text_load(const char *path, size_t *out_bytes, struct config_problems *problems) {
    return load(path, false, out_bytes, problems);
}

char *config_text_load_own(const char *path, size_t *out_bytes, struct config_problems *problems) {
    return load(path, true, out_bytes, problems);
}
