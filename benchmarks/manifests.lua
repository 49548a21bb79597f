-- Ask for a random tag each time. All requests are made beforehand, so that asking costs wrk next to nothing.
local requests = {}

function init(args)
   for repository = 0, tonumber(args[1]) - 1 do
      local headers = { Accept = "application/vnd.oci.image.manifest.v1+json" }
      local ticket = args[3 + repository]
      if ticket ~= "-" then headers["Authorization"] = ticket end
      for tag = 0, tonumber(args[2]) - 1 do
         local path = string.format("/v2/bench/repo%d/manifests/tag%d", repository, tag)
         requests[#requests + 1] = wrk.format("GET", path, headers)
      end
   end
end

function request()
   return requests[math.random(#requests)]
end
