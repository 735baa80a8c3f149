#!/bin/sh
# The command line: ask, ask another provider, read a pipe, look around.
set -eu

faultmaven chat "Why is the sky blue? One sentence."
faultmaven chat --json "Hello"
echo "The sky scatters short waves." | faultmaven chat "Say it more simply: -"
faultmaven providers show groq
faultmaven pricing show groq/llama-3.3-70b-versatile
