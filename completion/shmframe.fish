# Completion of shmframe for fish: the program itself says what may come next, besides files.
complete -c shmframe -a '(shmframe complete (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
