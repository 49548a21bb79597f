"""Every command: where it is, and what its group's help says. The only list; nothing here is imported by reading it."""

from __future__ import annotations

from dockyard.cli.grammar import Branch, Entry

_BUILD = Entry("dockyard.cli.build:build", "Build an image from a Dockerfile")
_LS = Entry("dockyard.cli.images:ls", "List images")
_INSPECT = Entry("dockyard.cli.inspection:inspect", "Display detailed information on one or more images")
_HISTORY = Entry("dockyard.cli.inspection:history", "Show the history of an image")
_TAG = Entry("dockyard.cli.names:tag", "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE")
_RM = Entry("dockyard.cli.names:rm", "Remove one or more images")
_PRUNE = Entry("dockyard.cli.names:prune", "Remove unused images")
_PUSH = Entry("dockyard.cli.push:push", "Upload an image to a registry")
_PULL = Entry("dockyard.cli.pull:pull", "Download an image from a registry")
_SAVE = Entry("dockyard.cli.archives:save", "Save one or more images to a tar archive (standard output by default)")
_LOAD = Entry("dockyard.cli.archives:load", "Load images from a tar archive or standard input")
_IMPORT = Entry("dockyard.cli.archives:import_", "Make an image from a tar archive of a file system")
_INFO = Entry("dockyard.cli.system:info", "Display information about this machine's stores")

IMAGE = Branch(
    "Manage images",
    {
        "build": _BUILD,
        "history": _HISTORY,
        "import": _IMPORT,
        "inspect": _INSPECT,
        "load": _LOAD,
        "ls": _LS,
        "prune": _PRUNE,
        "pull": _PULL,
        "push": _PUSH,
        "rm": _RM,
        "save": _SAVE,
        "tag": _TAG,
    },
    {"list": "ls", "remove": "rm"},
)

BUILDER = Branch(
    "Manage builds: what they keep to be faster the next time",
    {
        "build": _BUILD,
        "du": Entry("dockyard.cli.builder:du", "Show what the build cache holds"),
        "prune": Entry("dockyard.cli.builder:prune", "Remove build cache"),
    },
    {},
)

CONTEXT = Branch(
    "Manage contexts: engines with a store and a platform of their own",
    {
        "create": Entry("dockyard.cli.contexts:create", "Create a context"),
        "inspect": Entry("dockyard.cli.contexts:inspect", "Display detailed information on one or more contexts"),
        "ls": Entry("dockyard.cli.contexts:ls", "List contexts"),
        "rm": Entry("dockyard.cli.contexts:rm", "Remove one or more contexts and their images"),
        "show": Entry("dockyard.cli.contexts:show", "Print the name of the current context"),
        "use": Entry("dockyard.cli.contexts:use", "Set the current context"),
    },
    {"list": "ls", "remove": "rm"},
)

MANIFEST = Branch(
    "Manage manifest lists: one name for the same image on several platforms",
    {
        "annotate": Entry("dockyard.cli.manifests:annotate", "Set the platform of an image in a local manifest list"),
        "create": Entry("dockyard.cli.manifests:create", "Create a local manifest list to annotate and push"),
        "inspect": Entry("dockyard.cli.manifests:inspect", "Display an image manifest or manifest list"),
        "push": Entry("dockyard.cli.manifests:push", "Push a manifest list to a repository"),
        "rm": Entry("dockyard.cli.manifests:rm", "Delete one or more local manifest lists"),
    },
    {},
)

SYSTEM = Branch(
    "Manage this machine's stores",
    {"df": Entry("dockyard.cli.system:df", "Show disk usage"), "info": _INFO},
    {},
)

CONFIG = Branch(
    "Manage settings",
    {
        "get": Entry("dockyard.cli.settings:get", "Print the value of a setting"),
        "ls": Entry("dockyard.cli.settings:ls", "List settings, their values and where those come from"),
        "set": Entry("dockyard.cli.settings:set_", "Write a setting to the settings file"),
        "unset": Entry("dockyard.cli.settings:unset", "Take a setting out of the settings file"),
    },
    {"list": "ls"},
)

ADMIN = Branch(
    "Administer a hub on the machine that has its folder",
    {
        "audit": Entry("dockyard.cli.admin:audit", "List who changed what, when and from where, the newest first"),
        "user": Branch(
            "Manage users",
            {
                "add": Entry("dockyard.cli.admin:add", "Make a user"),
                "block": Entry("dockyard.cli.admin:block", "Keep a user out, and remove nothing"),
                "ls": Entry("dockyard.cli.admin:ls", "List users"),
                "password": Entry("dockyard.cli.admin:password", "Give a user another password"),
                "rm": Entry("dockyard.cli.admin:rm", "Remove a user"),
                "unblock": Entry("dockyard.cli.admin:unblock", "Let a blocked user in again"),
            },
            {"list": "ls", "remove": "rm"},
        ),
    },
    {},
)

COMPLETION = Branch(
    "Generate the completion script for a shell",
    {
        "bash": Entry("dockyard.cli.completion:bash", "Generate the completion script for bash"),
        "fish": Entry("dockyard.cli.completion:fish", "Generate the completion script for fish"),
        "zsh": Entry("dockyard.cli.completion:zsh", "Generate the completion script for zsh"),
    },
    {},
)

REPO = Branch(
    "Manage the repositories of a hub",
    {
        "collaborators": Entry(
            "dockyard.cli.repositories:collaborators", "List who has been given a right on a repository"
        ),
        "create": Entry("dockyard.cli.repositories:create", "Create a repository"),
        "grant": Entry("dockyard.cli.repositories:grant", "Give a user or robot a right on a repository"),
        "inspect": Entry(
            "dockyard.cli.repositories:inspect", "Display detailed information on one or more repositories"
        ),
        "ls": Entry("dockyard.cli.repositories:ls", "List the repositories of a hub that you may read"),
        "revoke": Entry("dockyard.cli.repositories:revoke", "Take a user's or robot's right on a repository away"),
        "rm": Entry("dockyard.cli.repositories:rm", "Remove one or more repositories with all their tags and images"),
        "set": Entry("dockyard.cli.repositories:set_", "Change who may read a repository, or its description"),
    },
    {"list": "ls", "remove": "rm"},
)

ORG = Branch(
    "Manage organisations of a hub",
    {
        "add": Entry("dockyard.cli.organisations:add", "Make a user a member of an organisation, or an owner"),
        "create": Entry("dockyard.cli.organisations:create", "Create an organisation, which you own"),
        "ls": Entry("dockyard.cli.organisations:ls", "List the organisations that you are in"),
        "members": Entry("dockyard.cli.organisations:members", "List the members of an organisation"),
        "remove": Entry("dockyard.cli.organisations:remove", "Take a user out of an organisation and its teams"),
        "rm": Entry("dockyard.cli.organisations:rm", "Remove one or more organisations that have no repositories"),
        "set": Entry(
            "dockyard.cli.organisations:set_", "Change what an organisation's new repositories are, or its full name"
        ),
    },
    {"list": "ls"},
)

TEAM = Branch(
    "Manage teams of an organisation",
    {
        "add": Entry("dockyard.cli.teams:add", "Put a member of the organisation into a team"),
        "create": Entry("dockyard.cli.teams:create", "Create a team"),
        "grant": Entry("dockyard.cli.teams:grant", "Give a team a right on a repository of its organisation"),
        "ls": Entry("dockyard.cli.teams:ls", "List the teams of an organisation"),
        "members": Entry("dockyard.cli.teams:members", "List the members of a team"),
        "remove": Entry("dockyard.cli.teams:remove", "Take a user out of a team"),
        "repositories": Entry("dockyard.cli.teams:repositories", "List the repositories that a team has a right on"),
        "revoke": Entry("dockyard.cli.teams:revoke", "Take a team's right on a repository away"),
        "rm": Entry("dockyard.cli.teams:rm", "Remove one or more teams, with the rights that they give"),
    },
    {"list": "ls", "repos": "repositories"},
)

ROBOT = Branch(
    "Manage robots: accounts for machines",
    {
        "create": Entry("dockyard.cli.robots:create", "Create a robot, and print its password"),
        "ls": Entry("dockyard.cli.robots:ls", "List the robots of a namespace"),
        "rm": Entry("dockyard.cli.robots:rm", "Remove one or more robots"),
    },
    {"list": "ls", "remove": "rm"},
)

INVITE = Branch(
    "Manage invitations to a hub and its organisations",
    {
        "create": Entry("dockyard.cli.invitations:create", "Invite somebody, and print the link to send them"),
        "ls": Entry("dockyard.cli.invitations:ls", "List the invitations that nobody has taken yet"),
        "rm": Entry("dockyard.cli.invitations:rm", "Withdraw one or more invitations"),
    },
    {"list": "ls", "remove": "rm"},
)

TOKEN = Branch(
    "Manage your personal access tokens",
    {
        "create": Entry("dockyard.cli.tokens:create", "Create a personal access token, and print it"),
        "ls": Entry("dockyard.cli.tokens:ls", "List your personal access tokens, and the logins that clients keep"),
        "rm": Entry("dockyard.cli.tokens:rm", "Revoke one or more tokens or logins"),
    },
    {"list": "ls", "remove": "rm"},
)

ROOT = Branch(
    "Images from one hub to the next, without a daemon",
    {
        "admin": ADMIN,
        "build": _BUILD,
        "builder": BUILDER,
        "completion": COMPLETION,
        "config": CONFIG,
        "context": CONTEXT,
        "copy": Entry("dockyard.cli.copying:copy", "Copy an image from anywhere to anywhere"),
        "help": Entry("dockyard.cli.help:help_", "Show the help of a command"),
        "history": _HISTORY,
        "image": IMAGE,
        "images": _LS,
        "import": _IMPORT,
        "info": _INFO,
        "inspect": _INSPECT,
        "invite": INVITE,
        "load": _LOAD,
        "login": Entry("dockyard.cli.login:login", "Log in to a registry"),
        "logout": Entry("dockyard.cli.login:logout", "Log out from a registry"),
        "manifest": MANIFEST,
        "org": ORG,
        "pull": _PULL,
        "push": _PUSH,
        "repo": REPO,
        "rmi": _RM,
        "robot": ROBOT,
        "save": _SAVE,
        "search": Entry("dockyard.cli.search:search", "Search a hub for repositories"),
        "serve": Entry("dockyard.cli.serve:serve", "Run a hub: a registry on this machine"),
        "system": SYSTEM,
        "tag": _TAG,
        "tags": Entry("dockyard.cli.tags:tags", "List the tags of a repository in its registry, or remove some"),
        "team": TEAM,
        "token": TOKEN,
        "version": Entry("dockyard.cli.system:version", "Show the version"),
    },
    {},
)
