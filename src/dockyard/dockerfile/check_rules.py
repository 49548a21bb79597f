"""The rules that a Dockerfile is checked against, with docker's names.

Source: docker's build checks reference.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """Something in a Dockerfile that works, and should be otherwise. ``line`` counts from 1."""

    line: int
    rule: str
    message: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: its name, what it asks for, and whether it is looked at only when it is named."""

    name: str
    meaning: str
    experimental: bool = False


RULES = (
    Rule("StageNameCasing", "Names of stages are in lower case"),
    Rule("FromAsCasing", "AS is written as FROM is, in upper or in lower case"),
    Rule("NoEmptyContinuation", "No empty line inside an instruction"),
    Rule("ConsistentInstructionCasing", "All instructions are in upper case, or all in lower case"),
    Rule("ReservedStageName", "No stage is called scratch or context"),
    Rule("DuplicateStageName", "Every stage has a name of its own; of several, others get the last one"),
    Rule("JSONArgsRecommended", "CMD and ENTRYPOINT are in JSON form, so that signals reach the program"),
    Rule("MaintainerDeprecated", "A label names the author, not MAINTAINER"),
    Rule("UndefinedArgInFrom", "Variables of FROM are declared by an ARG before it"),
    Rule("WorkdirRelativePath", "The first WORKDIR of a stage is absolute"),
    Rule("UndefinedVar", "Variables are defined before they are used"),
    Rule("MultipleInstructionsDisallowed", "A stage has one CMD, one ENTRYPOINT and one HEALTHCHECK at most"),
    Rule("LegacyKeyValueFormat", "ENV and LABEL are written with an equals sign"),
    Rule("RedundantTargetPlatform", "FROM does not name the platform that it has anyway"),
    Rule("SecretsUsedInArgOrEnv", "No secret is in ARG or ENV: both can be read from the image"),
    Rule("InvalidDefaultArgInFrom", "With the defaults of all ARGs, FROM names an image"),
    Rule("FromPlatformFlagConstDisallowed", "FROM --platform is a variable, so that other platforms can be built"),
    Rule("CopyIgnoredFile", "No file is copied that .dockerignore leaves out", experimental=True),
    Rule(
        "InvalidDefinitionDescription",
        "A comment right above ARG or FROM begins with the name that it describes",
        experimental=True,
    ),
    Rule("ExposeProtoCasing", "Protocols of EXPOSE are in lower case"),
    Rule("ExposeInvalidFormat", "EXPOSE names ports of the container alone: no address, no port of the host"),
)
