// heap.cc: malloc and its like, so that an address means the same thing in every run.
//
// A search tells things apart by their addresses. glibc hands out its arenas in the order of first use and one thread's
// memory to the next, so an address would depend on the order of steps. Here each thread has a room of its own, and
// what lies where in it depends on that thread alone. The price: what another thread gives back is not used again
// within the run.
//
// Before main, memory is glibc's own. Which of the two a block belongs to, its address says.
#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/foreign/preload/control.h"

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);
}

namespace lockstep::foreign {
namespace {

constexpr std::size_t kAlignment = 16;
constexpr std::size_t kPage = 4096;
constexpr unsigned kClasses = 80;  ///< 2^k and 1.5 * 2^k

/// Before each block.
struct Head {
  std::uint32_t size_class = 0;
  std::uint32_t back = 0;  ///< from this head to the begin of its room, where an alignment was asked for
  std::uint64_t unused = 0;
};
static_assert(sizeof(Head) == kAlignment);

struct Free {
  Free* next = nullptr;
};

/// At the begin of a thread's room.
struct Heap {
  std::uint64_t top = 0;  ///< from here on nothing was ever handed out
  Free* free[kClasses] = {};
};

bool is_mine[kThreadsMost] = {};  ///< the room is mapped

constexpr std::size_t size_of(unsigned size_class) noexcept {
  const std::size_t power = std::size_t{32} << (size_class / 2);
  return size_class % 2 == 0 ? power : power + power / 2;
}

unsigned class_of(std::size_t size) noexcept {
  unsigned size_class = 0;
  while (size_class < kClasses && size_of(size_class) < size) ++size_class;
  return size_class;
}

std::uint64_t room_of(int thread) noexcept { return kHeapsAddress + static_cast<std::uint64_t>(thread) * kHeapRoom; }

bool is_ours(const void* block) noexcept {
  const auto address = reinterpret_cast<std::uint64_t>(block);
  return address >= kHeapsAddress && address < room_of(kThreadsMost);
}

Heap* heap_of(int thread) noexcept {
  auto* const heap = reinterpret_cast<Heap*>(room_of(thread));
  if (is_mine[thread]) return heap;
  void* const place = ::mmap(heap, kHeapRoom, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (place != heap) return nullptr;
  is_mine[thread] = true;
  heap->top = room_of(thread) + (sizeof(Heap) + kPage - 1) / kPage * kPage;
  return heap;
}

Head* head_of(void* block) noexcept { return static_cast<Head*>(block) - 1; }

/// `fresh`: it was never used, so it is zero.
void* allocate(std::size_t size, bool& fresh) noexcept {
  Heap* const heap = heap_of(self);
  const unsigned size_class = class_of(size + sizeof(Head));
  fresh = false;
  if (heap == nullptr || size > kHeapRoom / 2 || size_class == kClasses) return nullptr;
  void* room = heap->free[size_class];
  if (room != nullptr) {
    heap->free[size_class] = static_cast<Free*>(room)->next;
  } else {
    if (heap->top + size_of(size_class) > room_of(self) + kHeapRoom) return nullptr;
    room = reinterpret_cast<void*>(heap->top);
    heap->top += size_of(size_class);
    fresh = true;
  }
  auto* const head = static_cast<Head*>(room);
  *head = {.size_class = size_class};
  return head + 1;
}

void* aligned(std::size_t alignment, std::size_t size) noexcept {
  bool fresh = false;
  if (alignment <= kAlignment) return allocate(size, fresh);
  if (alignment > kHeapRoom / 4) return nullptr;
  void* const block = allocate(size + alignment, fresh);
  if (block == nullptr) return nullptr;
  const auto address = reinterpret_cast<std::uint64_t>(block);
  const std::uint64_t place = (address + alignment - 1) / alignment * alignment;
  if (place == address) return block;
  const std::uint32_t size_class = head_of(block)->size_class;
  auto* const moved = reinterpret_cast<void*>(place);
  *head_of(moved) = {.size_class = size_class, .back = static_cast<std::uint32_t>(place - address)};
  return moved;
}

std::size_t usable(void* block) noexcept {
  const Head* const head = head_of(block);
  return size_of(head->size_class) - sizeof(Head) - head->back;
}

void give_back(void* block) noexcept {
  const auto owner = static_cast<int>((reinterpret_cast<std::uint64_t>(block) - kHeapsAddress) / kHeapRoom);
  if (owner != self) return;
  const Head head = *head_of(block);
  void* const room = static_cast<char*>(block) - head.back - sizeof(Head);
  Heap* const heap = heap_of(owner);
  auto* const free = static_cast<Free*>(room);
  free->next = heap->free[head.size_class];
  heap->free[head.size_class] = free;
}

void* or_no_memory(void* block) noexcept {
  if (block == nullptr) errno = ENOMEM;
  return block;
}

}  // namespace
}  // namespace lockstep::foreign

using namespace lockstep::foreign;

LOCKSTEP_EXPORTED void* malloc(std::size_t size) {
  bool fresh = false;
  return is_controlled() ? or_no_memory(allocate(size, fresh)) : __libc_malloc(size);
}

LOCKSTEP_EXPORTED void free(void* block) {
  if (block == nullptr) return;
  if (is_ours(block)) {
    give_back(block);
  } else {
    __libc_free(block);
  }
}

LOCKSTEP_EXPORTED void* calloc(std::size_t count, std::size_t each) {
  if (!is_controlled()) return __libc_calloc(count, each);
  std::size_t size = 0;
  if (__builtin_mul_overflow(count, each, &size)) return or_no_memory(nullptr);
  bool fresh = false;
  void* const block = or_no_memory(allocate(size, fresh));
  return block == nullptr || fresh ? block : ::memset(block, 0, size);
}

LOCKSTEP_EXPORTED void* realloc(void* block, std::size_t size) {
  if (!is_controlled() && !is_ours(block)) return __libc_realloc(block, size);
  if (block == nullptr) return malloc(size);
  if (size == 0) {
    free(block);
    return nullptr;
  }
  const std::size_t before = is_ours(block) ? usable(block) : ::malloc_usable_size(block);
  if (is_ours(block) && size <= before) return block;
  void* const moved = malloc(size);
  if (moved == nullptr) return nullptr;
  ::memcpy(moved, block, before < size ? before : size);
  free(block);
  return moved;
}

LOCKSTEP_EXPORTED void* memalign(std::size_t alignment, std::size_t size) {
  return is_controlled() ? or_no_memory(aligned(alignment, size)) : __libc_memalign(alignment, size);
}

LOCKSTEP_EXPORTED void* aligned_alloc(std::size_t alignment, std::size_t size) { return memalign(alignment, size); }

LOCKSTEP_EXPORTED int posix_memalign(void** block, std::size_t alignment, std::size_t size) {
  const bool is_power = alignment != 0 && (alignment & (alignment - 1)) == 0;
  if (!is_power || alignment % sizeof(void*) != 0) return EINVAL;
  void* const got = memalign(alignment, size);
  if (got == nullptr) return ENOMEM;
  *block = got;
  return 0;
}

LOCKSTEP_EXPORTED void* valloc(std::size_t size) { return memalign(kPage, size); }

LOCKSTEP_EXPORTED std::size_t malloc_usable_size(void* block) {
  static auto* const next = next_function<std::size_t(void*)>("malloc_usable_size");
  if (block == nullptr) return 0;
  return is_ours(block) ? usable(block) : next(block);
}
