-- What scripts see. Runs once in each new runtime; gets four functions of the host and returns three values for it.
local execute, sha1hex, log, decode = ...

local SOURCE = '@user_script'
local error, pairs, pcall, rawset, select, setfenv, setmetatable, tostring, type, xpcall =
  error, pairs, pcall, rawset, select, setfenv, setmetatable, tostring, type, xpcall
local byte, find, format, gsub, sub = string.byte, string.find, string.format, string.gsub, string.sub
local concat, floor, getinfo, huge, loadstring, load = table.concat, math.floor, debug.getinfo, math.huge, loadstring, load

-- The sandbox: every table that scripts share is behind a face that cannot be written to.

local globals, faces = {}, {}

local function refuse()
  error('Attempt to modify a readonly table', 2)
end

local function close(members)
  local face = setmetatable({}, { __index = members, __newindex = refuse, __metatable = false })
  faces[face] = true
  return face
end

for name in ('_VERSION assert collectgarbage error gcinfo getmetatable ipairs next pairs rawequal rawget select '
  .. 'setmetatable tonumber tostring type unpack xpcall'):gmatch('%S+') do
  globals[name] = _G[name]
end
string.dump = nil
for name in ('coroutine math string table'):gmatch('%S+') do
  globals[name] = close(_G[name])
end
getmetatable('').__metatable = false
setmetatable(globals, {
  __index = function(_, name)
    error("Script attempted to access nonexistent global variable '" .. tostring(name) .. "'", 2)
  end,
})
local environment = close(globals)
local null = newproxy(false)

globals._G = environment

function globals.rawset(target, ...)
  if faces[target] then
    refuse()
  end
  return rawset(target, ...)
end

local function inside(chunk, problem)
  if chunk then
    return setfenv(chunk, environment), nil
  end
  return nil, problem
end

function globals.loadstring(text, name)
  if byte(text, 1) == 27 then
    return nil, "bytecode is not allowed"
  end
  return inside(loadstring(text, name))
end

function globals.load(reader, name)
  local parts = {}
  for part in reader do
    if part == '' then
      break
    end
    parts[#parts + 1] = part
  end
  return globals.loadstring(concat(parts), name or '=(load)')
end

local function as_text(ok, problem, ...)
  if not ok and type(problem) == 'table' and type(problem.err) == 'string' then
    return false, problem.err
  end
  return ok, problem, ...
end

function globals.pcall(...)
  return as_text(pcall(...))
end

-- redis.*: the host answers with the kind of the reply and what it is made of.

local function reply(kind, ...)
  if kind == 0 then
    return (...)
  elseif kind == 1 then
    return { ... }
  elseif kind == 2 then
    return { ok = (...) }
  end
  return nil, { err = (...) }
end

local redis = {
  LOG_DEBUG = 0, LOG_VERBOSE = 1, LOG_NOTICE = 2, LOG_WARNING = 3,
  REPL_NONE = 0, REPL_AOF = 1, REPL_SLAVE = 2, REPL_REPLICA = 2, REPL_ALL = 3,
}

function redis.call(...)
  local answer, problem = reply(execute(...))
  if problem then
    error(problem, 0)
  end
  return answer
end

function redis.pcall(...)
  local answer, problem = reply(execute(...))
  if problem then
    return problem
  end
  return answer
end

function redis.error_reply(...)
  local text = ...
  if select('#', ...) ~= 1 or type(text) ~= 'string' then
    return { err = 'ERR wrong number or type of arguments' }
  end
  text = gsub(text, '^%-', '')
  return { err = find(text, ' ', 1, true) and text or 'ERR ' .. text }
end

function redis.status_reply(...)
  local text = ...
  if select('#', ...) ~= 1 or type(text) ~= 'string' then
    return { err = 'ERR wrong number or type of arguments' }
  end
  return { ok = text }
end

function redis.sha1hex(...)
  if select('#', ...) ~= 1 then
    error('wrong number of arguments', 2)
  end
  return sha1hex(tostring((...)))
end

function redis.log(level, ...)
  if type(level) ~= 'number' or select('#', ...) == 0 then
    error('redis.log() requires two arguments or more.', 2)
  end
  if level < 0 or level > 3 then
    error('Invalid debug level.', 2)
  end
  local words = { ... }
  for index = 1, select('#', ...) do
    words[index] = tostring(words[index])
  end
  log(level, concat(words, ' '))
end

function redis.replicate_commands()
  return true
end

function redis.set_repl() end

globals.redis = close(redis)

-- cjson.*

local cjson = { null = null }
local ESCAPES = { ['"'] = '\\"', ['\\'] = '\\\\', ['/'] = '\\/', ['\b'] = '\\b', ['\f'] = '\\f', ['\n'] = '\\n',
  ['\r'] = '\\r', ['\t'] = '\\t' }
for code = 0, 31 do
  local char = string.char(code)
  ESCAPES[char] = ESCAPES[char] or format('\\u%04x', code)
end
ESCAPES['\127'] = '\\u007f'
local DEEPEST, SPARSE, SAFE = 1000, 2, 10

local function quote(text)
  return '"' .. gsub(text, '[%z\1-\31"\\/\127]', ESCAPES) .. '"'
end

local function number(value)
  if value ~= value or value == huge or value == -huge then
    error('Cannot serialise number: must not be NaN or Inf', 0)
  end
  return format('%.14g', value)
end

-- The highest index of an array, or nil for what is an object.
local function highest(value)
  local count, most = 0, 0
  for key in pairs(value) do
    if type(key) ~= 'number' or key < 1 or floor(key) ~= key then
      return nil
    end
    count = count + 1
    if key > most then
      most = key
    end
  end
  if most > SAFE and most > count * SPARSE then
    error('Cannot serialise table: excessively sparse array', 0)
  end
  return count > 0 and most or nil
end

local function encode(value, depth)
  local kind = type(value)
  if kind == 'string' then
    return quote(value)
  elseif kind == 'number' then
    return number(value)
  elseif kind == 'boolean' then
    return tostring(value)
  elseif kind == 'nil' or value == null then
    return 'null'
  elseif kind ~= 'table' then
    error('Cannot serialise ' .. kind .. ': type not supported', 0)
  elseif depth > DEEPEST then
    error('Cannot serialise, excessive depth (' .. depth .. ')', 0)
  end
  local parts, most = {}, highest(value)
  if most then
    for index = 1, most do
      parts[index] = encode(value[index], depth + 1)
    end
    return '[' .. concat(parts, ',') .. ']'
  end
  for key, member in pairs(value) do
    if type(key) == 'number' then
      key = '"' .. number(key) .. '"'
    elseif type(key) == 'string' then
      key = quote(key)
    else
      error('Cannot serialise table: table key must be a number or string', 0)
    end
    parts[#parts + 1] = key .. ':' .. encode(member, depth + 1)
  end
  return '{' .. concat(parts, ',') .. '}'
end

function cjson.encode(...)
  if select('#', ...) ~= 1 then
    error("bad argument #1 to 'encode' (expected 1 argument)", 2)
  end
  local ok, text = pcall(encode, (...), 1)
  if not ok then
    error(text, 2)
  end
  return text
end

function cjson.decode(...)
  local text = ...
  if select('#', ...) ~= 1 then
    error("bad argument #1 to 'decode' (expected 1 argument)", 2)
  elseif type(text) == 'number' then
    text = tostring(text)
  elseif type(text) ~= 'string' then
    error("bad argument #1 to 'decode' (string expected, got " .. type(text) .. ')', 2)
  end
  local problem, value = decode(text)
  if problem then
    error(problem, 2)
  end
  return value
end

globals.cjson = close(cjson)

-- For the host.

local function compile(source)
  if byte(source, 1) == 27 then
    return nil, "bytecode is not allowed"
  end
  return inside(loadstring(source, SOURCE))
end

local function explain(problem)
  local where = SOURCE -- a tail call leaves no line
  for level = 2, 20 do
    local frame = getinfo(level, 'Sl')
    if not frame then
      break
    elseif frame.source == SOURCE then
      where = SOURCE .. ':' .. frame.currentline
      break
    end
  end
  if type(problem) ~= 'table' then
    problem = { err = 'ERR ' .. tostring(problem) }
  end
  return { problem.err, where }
end

local function run(script, count, ...)
  local keys, args = {}, { ... }
  if type(count) == 'table' then
    keys, args = count, args[1]
  elseif count > 0 then
    local words = args
    args = {}
    for index = 1, count do
      keys[index] = words[index]
    end
    for index = count + 1, #words do
      args[index - count] = words[index]
    end
  end
  rawset(globals, 'KEYS', keys)
  rawset(globals, 'ARGV', args)
  local ok, value = xpcall(script, explain)
  if ok then
    return true, value
  end
  if type(value) == 'table' then
    return false, value[1], value[2]
  end
  return false, 'ERR ' .. tostring(value), SOURCE -- an error while the error was explained
end

return compile, run, null
