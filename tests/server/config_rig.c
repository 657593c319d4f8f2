#include "config_rig.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char config_rig_path[] = "/usr/pipeline.ini";

struct config parse(const char *text) {
    struct config config;
    struct config_problems problems;
    const int result = config_parse(text, strlen(text), config_rig_path, &config, &problems);
    ck_assert_msg(result == 0, "%d: %s", result,
                  problems.count ? problems.problem[0].text : "(nothing told)");
    ck_assert_uint_eq(problems.count, 0);
    config_problems_destroy(&problems);
    return config;
}

struct config parse_key(const char *line) {
    char text[8192];
    snprintf(text, sizeof(text), "[consumer a]\ncommand = true\n%s\n", line);
    return parse(text);
}

char *told_of(const char *bytes, size_t count) {
    struct config config;
    struct config_problems problems;
    char *told = NULL;
    size_t told_bytes;
    FILE *file = open_memstream(&told, &told_bytes);
    const int result = config_parse(bytes, count, config_rig_path, &config, &problems);
    ck_assert_int_eq(result, problems.count ? -EINVAL : 0);
    if (result < 0) {
        ck_assert_uint_eq(config.nodes, 0);
        ck_assert_uint_eq(config.streams, 0);
    }
    for (size_t i = 0; i < problems.count; i++)
        fprintf(file, "%u: %s\n", problems.problem[i].line, problems.problem[i].text);
    fclose(file);
    config_destroy(&config);
    config_problems_destroy(&problems);
    return told;
}

void check_told(const char *text, const char *expected) {
    char *told = told_of(text, strlen(text));
    ck_assert_msg(strcmp(told, expected) == 0, "of\n%s\nis told\n%s\nnot\n%s", text, told,
                  expected);
    free(told);
}
