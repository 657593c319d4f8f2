/* What is written about pipeline files is so: the page's defaults, the examples, and the demos. */
#include "config_rig.h"

#include <check.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../library/suite.h"

/* A file of the source tree; the caller's to free. */
static char *read_file(const char *name) {
    char path[4096], *text = NULL;
    size_t bytes = 0;
    snprintf(path, sizeof(path), "%s/%s", getenv("TOP"), name);
    FILE *file = fopen(path, "re");
    ck_assert_msg(file != NULL, "%s", path);
    ck_assert_int_gt(getdelim(&text, &bytes, '\0', file), 0);
    fclose(file);
    return text;
}

/* Cuts what is between two texts out of what follows *at, and moves behind it. */
static char *cut(char **at, const char *begin, const char *end) {
    char *start = strstr(*at, begin);
    char *stop = start ? strstr(start + strlen(begin), end) : NULL;
    if (!stop)
        return NULL;
    start += strlen(begin);
    *stop = '\0';
    *at = stop + strlen(end);
    return start;
}

START_TEST(defaults_on_the_page_are_what_is_left_out) {
    char *page = read_file("docs/shmframe-pipeline.5.scd");
    struct config plain = parse("[stream r]\n[filter a]\ncommand = x\nwrites = w\n");
    unsigned defaults = 0;
    char *at = strstr(page, "# NODES: THE PROCESS");
    /* "*KEY* = ..." begins a paragraph, and "Default: *VALUE*." ends it. */
    for (char *paragraph; (paragraph = cut(&at, "\n*", "\n\n"));) {
        char *name = strtok(paragraph, "*");
        char *rest = strtok(NULL, "");
        char *value = cut(&rest, "Default: *", "*.");
        char text[256];
        at -= 2; /* the blank line begins the next one */
        memcpy(at, "\n\n", 2);
        if (!value)
            continue;
        defaults++;
        snprintf(text, sizeof(text), "[stream r]\n[filter a]\ncommand = x\nwrites = w\n%s%s = %s\n",
                 strcmp(name, "on-hang") == 0 ? "watchdog = 0\n" : "", name, value);
        struct config config = parse(text);
        ck_assert_msg(!config_node_needs_restart(&plain.node[0], &config.node[0]) &&
                          config_node_applies_same(&plain.node[0], &config.node[0]),
                      "%s is not %s by default", name, value);
        config_destroy(&config);
    }
    ck_assert_uint_ge(defaults, 11);
    config_destroy(&plain);
    free(page);
}
END_TEST

/* Returns how many there are. */
static unsigned parse_examples(const char *name, const char *begin) {
    char *page = read_file(name);
    char *at = page;
    unsigned examples = 0;
    for (char *example; (example = cut(&at, begin, "\n```\n")); examples++) {
        struct config config = parse(example);
        ck_assert_uint_gt(config.nodes, 0);
        config_destroy(&config);
    }
    free(page);
    return examples;
}

START_TEST(examples_on_the_pages_are_right) {
    ck_assert_uint_eq(parse_examples("docs/shmframe-pipeline.5.scd", "\n```\n"), 3);
    ck_assert_uint_eq(parse_examples("README.md", "\n```ini\n"), 1);
}
END_TEST

START_TEST(pipelines_among_the_demos_are_right) {
    char pattern[4096];
    glob_t found;
    snprintf(pattern, sizeof(pattern), "%s/demos/*.ini", getenv("TOP"));
    ck_assert_int_eq(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct config config;
        struct config_problems problems;
        ck_assert_msg(config_load(found.gl_pathv[i], &config, &problems) == 0, "%s: %s",
                      found.gl_pathv[i], problems.count ? problems.problem[0].text : "");
        config_destroy(&config);
        config_problems_destroy(&problems);
    }
    globfree(&found);
}
END_TEST

int main(void) {
    const struct suite_test tests[] = {
        {defaults_on_the_page_are_what_is_left_out},
        {examples_on_the_pages_are_right},
        {pipelines_among_the_demos_are_right},
    };
    return suite_run("config_page", tests, SUITE_COUNT(tests));
}
