/* The keys of a pipeline file, and what a section of them makes. */
#ifndef SERVER_CONFIG_KEY_H
#define SERVER_CONFIG_KEY_H

#include "config_text.h"

/* Adds the section's stream or node to `config`; mistakes are told and left out. `folder` is where
 * relative paths begin. */
void config_section_read(const struct config_section *section, const char *folder,
                         struct config *config, struct config_problems *problems);

void config_stream_destroy(struct config_stream *stream);
void config_node_destroy(struct config_node *node);

#endif
