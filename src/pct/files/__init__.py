"""Files: written whole or not at all, locked, kept for the next process, and swept where their owner died."""

from pct.files.atomic import new_folder as new_folder
from pct.files.atomic import wait_for_disk as wait_for_disk
from pct.files.atomic import write_atomic as write_atomic
from pct.files.atomic import write_output as write_output
from pct.files.caches import Cache as Cache
from pct.files.caches import open_cache as open_cache
from pct.files.hashes import BLOCK as BLOCK
from pct.files.hashes import sha256 as sha256
from pct.files.leftovers import sweep as sweep
from pct.files.locks import Held as Held
from pct.files.locks import Lock as Lock
from pct.files.locks import in_turn as in_turn
from pct.files.private import NoPrivateFolder as NoPrivateFolder
from pct.files.private import cache_folder as cache_folder
from pct.files.private import private_folder as private_folder
from pct.files.system import UNFOLLOWED as UNFOLLOWED
from pct.files.temporary import TemporaryFolder as TemporaryFolder
from pct.files.temporary import temporary_folder as temporary_folder
