/* shmframed.conf: what it says counts, and what is wrong with it is told with its line. */
#include "settings.h"

#include <shmframe/shmframe.h>

#include <check.h>
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../library/suite.h"

#define MACHINE_BYTES (UINT64_C(16) << 30)

static struct settings parse(const char *text) {
    struct settings settings;
    struct config_problems problems;
    settings_init(&settings, MACHINE_BYTES);
    const int code = settings_parse(text, strlen(text), &settings, &problems);
    ck_assert_msg(code == 0, "%s: %s", text, problems.count ? problems.problem[0].text : "?");
    config_problems_destroy(&problems);
    return settings;
}

static void expect_told(const char *text, unsigned line, const char *expected) {
    struct settings settings;
    struct config_problems problems;
    settings_init(&settings, MACHINE_BYTES);
    ck_assert_int_eq(settings_parse(text, strlen(text), &settings, &problems), -EINVAL);
    ck_assert_uint_eq(problems.count, 1);
    ck_assert_msg(strstr(problems.problem[0].text, expected), "of %s is told %s", text,
                  problems.problem[0].text);
    ck_assert_uint_eq(problems.problem[0].line, line);
    config_problems_destroy(&problems);
    settings_destroy(&settings);
}

START_TEST(a_desktop_is_protected_without_a_file) {
    struct settings settings = parse("");
    ck_assert_uint_eq(settings.limit[QUOTA_MEMORY][QUOTA_ALL], MACHINE_BYTES / 100 * 50);
    ck_assert_uint_eq(settings.limit[QUOTA_MEMORY][QUOTA_USER], MACHINE_BYTES / 100 * 25);
    ck_assert_uint_eq(settings.limit[QUOTA_SESSIONS][QUOTA_ALL], 1024);
    ck_assert_uint_eq(settings_allow(&settings, "any")->count, 0);
    ck_assert_int_eq(settings.reach, REACH_OWN);
}
END_TEST

START_TEST(every_limit_can_be_set) {
    for (unsigned r = 0; r < QUOTA_RESOURCES; r++)
        for (unsigned s = 0; s < QUOTA_SCOPES; s++) {
            char text[128];
            const char *name = settings_limit_name((enum quota_resource)r, (enum quota_scope)s);
            if (!name)
                continue;
            snprintf(text, sizeof(text), "[limits]\n%s = 77\n", name);
            struct settings settings = parse(text);
            ck_assert_uint_eq(settings.limit[r][s], 77);
            snprintf(text, sizeof(text), "[limits]\n%s = none\n", name);
            settings = parse(text);
            ck_assert_uint_eq(settings.limit[r][s], QUOTA_NONE);
        }
    struct settings settings = parse("[limits]\nslots-per-session = 60%\nslots-per-user=1%\n");
    ck_assert_uint_eq(settings.slots_percent_of_session, 60);
    ck_assert_uint_eq(settings.slots_percent_of_user, 1);
}
END_TEST

START_TEST(memory_has_units_and_shares) {
    static const struct {
        const char *text;
        uint64_t bytes;
    } values[] = {{"1000", 1000},
                  {"3K", 3 << 10},
                  {"5M", 5 << 20},
                  {"7G", UINT64_C(7) << 30},
                  {"2T", UINT64_C(2) << 40},
                  {"0", 0},
                  {"10%", MACHINE_BYTES / 100 * 10}};
    for (unsigned i = 0; i < SUITE_COUNT(values); i++) {
        char text[64];
        snprintf(text, sizeof(text), "[limits]\nmemory = %s\n", values[i].text);
        struct settings settings = parse(text);
        ck_assert_uint_eq(settings.limit[QUOTA_MEMORY][QUOTA_ALL], values[i].bytes);
    }
}
END_TEST

START_TEST(users_and_groups_are_named_or_numbered) {
    struct settings settings = parse("[access]\ntrust = user root\nwrite = group 12, user 34\n"
                                     "allow = all\n[stream cam]\nallow = none\n");
    ck_assert_uint_eq(settings.trust.rule[0].kind, ACCESS_USER);
    ck_assert_uint_eq(settings.trust.rule[0].id, 0);
    const gid_t twelve = 12;
    const struct access_who member = {.uid = 1, .gid = 1, .group = &twelve, .groups = 1};
    const struct access_who other = {.uid = 12, .gid = 34};
    ck_assert(access_permits(&settings.write, &member));
    ck_assert(!access_permits(&settings.write, &other));
    ck_assert(access_permits(settings_allow(&settings, "screen"), &other));
    ck_assert(!access_permits(settings_allow(&settings, "cam"), &other));
    settings_destroy(&settings);
}
END_TEST

START_TEST(the_reach_of_the_socket_is_a_group_or_all) {
    struct settings settings = parse("[access]\nreach = group 44\n");
    ck_assert_int_eq(settings.reach, REACH_GROUP);
    ck_assert_uint_eq(settings.reach_gid, 44);
    settings = parse("[access]\nreach = all\n");
    ck_assert_int_eq(settings.reach, REACH_ALL);
    expect_told("[access]\nreach = user root\n", 2, "\"own\", \"group NAME\" or \"all\"");
    expect_told("[access]\nreach = group no-such-group\n", 2,
                "reach: expected a group that exists, by name or number (\"no-such-group\" is "
                "none), not \"group no-such-group\"");
}
END_TEST

START_TEST(mistakes_are_told_with_their_line) {
    static const struct {
        const char *text;
        unsigned line;
        const char *expected;
    } mistakes[] = {
        {"[limit]\n", 1, "expected [limits], [access] or [stream NAME], not \"limit\""},
        {"[limits x]\n", 1, "not \"limits x\""},
        {"[stream]\n", 1, "[stream NAME]"},
        {"[producer cam]\ncommand = x\n", 1, "not \"producer cam\""},
        {"readers = 1\n", 1, "a section such as [limits]"},
        {"[limits]\nreader-per-user = 1\n", 2, "near it are"},
        {"[limits]\nmemry = 8G\n", 2,
         "expected a key of [limits], see shmframed.conf(5), not \"memry\"; near it is memory"},
        {"[limits]\nreaders = many\n", 2, "readers: expected a number, or none, not \"many\""},
        {"[limits]\nreaders = -1\n", 2, "a number"},
        {"[limits]\nreaders = 99999999999999999999\n", 2, "a number"},
        {"[limits]\nmemory = 101%\n", 2, "a share of the machine's memory"},
        {"[limits]\nmemory = 1X\n", 2, "a size such as"},
        {"[limits]\nmemory = 99999999999T\n", 2, "a size such as"},
        {"[limits]\nslots-per-user = 0%\n", 2, "from 1% to 100%"},
        {"[limits]\nreaders = 1\nreaders = 2\n", 3, "\"readers\" once"},
        {"[limits]\nreaders = 1\n  2\n", 3, "in one line"},
        {"[access]\nallow = user no-such-user\n", 2, "a user that exists"},
        {"[access]\nallow = none, all\n", 2, "\"all\" and \"none\" alone"},
        {"[access]\nallow = user 1, none\n", 2, "\"all\" and \"none\" alone"},
        {"[access]\nallow = all, user 1\n", 2, "\"all\" and \"none\" alone"},
        {"[access]\nallow = users root\n", 2, "\"user NAME\""},
        {"[access]\nallow = user 4294967295\n", 2, "a user that exists"},
        {"[access]\nallow = user 1, user 2, user 3, user 4, user 5, user 6, user 7, user 8, all\n",
         2, "at most 8"},
        {"[access]\nallow =\n", 2, "\"user NAME\""},
        {"[access]\nlisten = all\n", 2,
         "expected a key of [access]: trust, write, allow or reach, not \"listen\""},
        {"[access]\nalow = all\n", 2, "not \"alow\"; near it is allow"},
        {"[stream Cam]\nallow = all\n", 1, "a stream's name"},
        {"[stream cam]\nallow = all\n[stream cam]\n", 3, "in line 1 already"},
        {"[access]\nallow = all\n[limits]\n[access]\nallow = none\n", 4,
         "[access] once; it is in line 1 already"},
        {"[limits]\n[limits]\nreaders = 1\n", 2, "[limits] once; it is in line 1 already"},
        {"[stream cam]\nhold-limit = 1\n", 2,
         "expected the key \"allow\" (others of a stream are in a pipeline file, see "
         "shmframe-pipeline(5)), not \"hold-limit\""},
    };
    for (unsigned i = 0; i < SUITE_COUNT(mistakes); i++)
        expect_told(mistakes[i].text, mistakes[i].line, mistakes[i].expected);
}
END_TEST

/* A file of the source tree; the caller's to free. */
static char *read_page(void) {
    char path[4096], *text = NULL;
    size_t bytes = 0;
    snprintf(path, sizeof(path), "%s/docs/shmframed.conf.5.scd", getenv("TOP"));
    FILE *file = fopen(path, "re");
    ck_assert_msg(file != NULL, "%s", path);
    ck_assert_int_gt(getdelim(&text, &bytes, '\0', file), 0);
    fclose(file);
    return text;
}

START_TEST(defaults_on_the_page_are_what_counts) {
    char *page = read_page();
    struct settings plain = parse("");
    for (unsigned r = 0; r < QUOTA_RESOURCES; r++)
        for (unsigned s = 0; s < QUOTA_SCOPES; s++) {
            char wanted[64], value[32], line[128];
            const char *name = settings_limit_name((enum quota_resource)r, (enum quota_scope)s);
            if (!name)
                continue;
            snprintf(wanted, sizeof(wanted), "\n*%s* = ", name);
            const char *at = strstr(page, wanted);
            ck_assert_msg(at != NULL, "%s is not on the page", name);
            at = strstr(at, "Default: *");
            ck_assert_int_eq(sscanf(at, "Default: *%31[^*]*.", value), 1);
            snprintf(line, sizeof(line), "[limits]\n%s = %s\n", name, value);
            struct settings told = parse(line);
            ck_assert_msg(told.limit[r][s] == plain.limit[r][s], "%s is not %s by default", name,
                          value);
        }
    free(page);
}
END_TEST

START_TEST(an_option_names_the_key_that_there_is_not) {
    struct settings settings = parse("");
    ck_assert_int_eq(settings_set_limit(&settings, "memori=8G"), -EINVAL);
    ck_assert_str_eq(shmframe_last_error(),
                     "a key of [limits], see shmframed.conf(5), not \"memori\"; near it is memory");
}
END_TEST

static void write_file(char path[64], mode_t mode) {
    static const char text[] = "[limits]\nreaders = 7\n";
    strcpy(path, "/tmp/settings.XXXXXX");
    const int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
    ck_assert_int_eq(fchmod(fd, mode), 0);
    close(fd);
}

/* With `expected` NULL: it is taken. */
static void expect_of_file(const char *path, const char *expected) {
    struct settings settings;
    struct config_problems problems;
    settings_init(&settings, MACHINE_BYTES);
    const int code = settings_load(path, &settings, &problems);
    if (expected) {
        ck_assert_int_eq(code, -EINVAL);
        ck_assert_uint_eq(problems.count, 1);
        ck_assert_msg(strstr(problems.problem[0].text, expected), "%s", problems.problem[0].text);
        ck_assert_uint_ne(settings.limit[QUOTA_READERS][QUOTA_ALL], 7);
    } else {
        ck_assert_msg(code == 0, "%s", problems.count ? problems.problem[0].text : "?");
        ck_assert_uint_eq(settings.limit[QUOTA_READERS][QUOTA_ALL], 7);
    }
    config_problems_destroy(&problems);
    settings_destroy(&settings);
}

START_TEST(a_file_that_others_can_write_is_not_read) {
    char path[64];
    write_file(path, 0644);
    expect_of_file(path, NULL);
    ck_assert_int_eq(chmod(path, 0664), 0);
    expect_of_file(path, "only its owner can write (chmod go-w), not one of mode 0664");
    ck_assert_int_eq(chmod(path, 0602), 0);
    expect_of_file(path, "only its owner can write");
    unlink(path);
}
END_TEST

/* Whoever is told of it by the supervisor is in another folder. */
START_TEST(the_path_of_the_file_is_absolute) {
    char path[64], found[4096], before[4096];
    struct settings settings;
    struct config_problems problems;
    write_file(path, 0644);
    ck_assert_ptr_nonnull(getcwd(before, sizeof(before)));
    ck_assert_int_eq(chdir("/tmp"), 0);
    const struct settings_source source = {.path = path + strlen("/tmp/")};
    ck_assert_int_eq(settings_read(&source, &settings, found, &problems), 0);
    ck_assert_int_eq(chdir(before), 0);
    ck_assert_msg(found[0] == '/' && access(found, R_OK) == 0, "%s", found);
    config_problems_destroy(&problems);
    settings_destroy(&settings);
    unlink(path);
}
END_TEST

START_TEST(a_file_of_another_user_is_not_read) {
    if (geteuid() != 0)
        return; /* only root can give a file away */
    char path[64];
    write_file(path, 0644);
    ck_assert_int_eq(chown(path, 12341, 12341), 0);
    expect_of_file(path, "of root or of user 0, not of user 12341");
    ck_assert_int_eq(seteuid(12341), 0);
    expect_of_file(path, NULL);
    ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_eq(chown(path, 0, 0), 0);
    ck_assert_int_eq(seteuid(12341), 0);
    expect_of_file(path, NULL);
    ck_assert_int_eq(seteuid(0), 0);
    unlink(path);
}
END_TEST

START_TEST(a_folder_that_cannot_be_looked_into_is_told) {
    char folder[] = "/tmp/settings.XXXXXX", below[64], path[4096];
    struct settings settings;
    struct config_problems problems;
    const struct settings_source source = {0};
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(below, sizeof(below), "%s/shmframe", folder);
    ck_assert_int_eq(chmod(folder, 0755), 0);
    ck_assert_int_eq(mkdir(below, 0), 0);
    setenv("XDG_CONFIG_HOME", folder, 1);
    const uid_t before = geteuid();
    if (before == 0) {
        ck_assert_int_eq(seteuid(12341), 0);
        ck_assert_int_eq(settings_read(&source, &settings, path, &problems), 0);
        ck_assert_str_eq(path, ""); /* whose home it is may have settings; he is not we */
        ck_assert_int_eq(seteuid(0), 0);
        ck_assert_int_eq(chown(folder, 12341, 12341), 0);
        ck_assert_int_eq(seteuid(12341), 0);
    }
    ck_assert_int_eq(settings_read(&source, &settings, path, &problems), -EINVAL);
    ck_assert_int_eq(strncmp(path, below, strlen(below)), 0);
    ck_assert_uint_eq(problems.count, 1);
    ck_assert_msg(strstr(problems.problem[0].text, "Permission denied"), "%s",
                  problems.problem[0].text);
    config_problems_destroy(&problems);
    ck_assert_int_eq(seteuid(before), 0);
    ck_assert_int_eq(rmdir(below), 0);
    ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

START_TEST(the_example_on_the_page_is_right) {
    if (!getgrnam("video"))
        return; /* it names a group that Debian has */
    char *page = read_page();
    char *begin = strstr(page, "\n```\n");
    char *end = begin ? strstr(begin + 5, "\n```\n") : NULL;
    ck_assert_ptr_nonnull(end);
    end[1] = '\0';
    struct settings settings = parse(begin + 5);
    ck_assert_uint_gt(settings.streams, 0);
    settings_destroy(&settings);
    free(page);
}
END_TEST

int main(void) {
    const struct suite_test tests[] = {
        {a_desktop_is_protected_without_a_file},
        {every_limit_can_be_set},
        {memory_has_units_and_shares},
        {users_and_groups_are_named_or_numbered},
        {the_reach_of_the_socket_is_a_group_or_all},
        {mistakes_are_told_with_their_line},
        {defaults_on_the_page_are_what_counts},
        {an_option_names_the_key_that_there_is_not},
        {a_file_that_others_can_write_is_not_read},
        {the_path_of_the_file_is_absolute},
        {a_file_of_another_user_is_not_read},
        {a_folder_that_cannot_be_looked_into_is_told},
        {the_example_on_the_page_is_right},
    };
    return suite_run("settings", tests, SUITE_COUNT(tests));
}
