# Completion of shmframe for bash: the program itself says what may come next.
_shmframe() {
    local IFS=$'\n'
    COMPREPLY=($("${1/#\~/$HOME}" complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
}
# Where it says nothing, files.
complete -o default -F _shmframe shmframe
