# The side of Sidekiq: ruby sidekiq_jobs.rb. Lines of JSON as in side.py. Its workers load this file, too.
require "json"
require "redis"
require "sidekiq"

Sidekiq.strict_args!
Sidekiq.configure_client { |config| config.redis = { url: ENV["JOBS_REDIS"] } }
Sidekiq.configure_server do |config|
  config.redis = { url: ENV["JOBS_REDIS"] }
  config.average_scheduled_poll_interval = 1
end

class Job
  include Sidekiq::Worker
  sidekiq_options queue: "jobs"

  def perform(id, seconds = nil)
    books = Redis.new(url: ENV["JOBS_BOOKS"])
    books.rpush("started", "#{id} #{Time.now.to_f}")
    seconds ? sleep(seconds) : (sleep 0.02 until books.exists?("release"))
    books.rpush("done", "#{id} #{Time.now.to_f}")
    books.close
  end
end

if $PROGRAM_NAME == __FILE__
  ids = 0
  $stdout.sync = true
  $stdin.each_line do |line|
    name, args = JSON.parse(line)
    case name
    when "enqueue" then args[0].times { Job.perform_async(ids += 1) }
    when "enqueue_in" then args[0].times { Job.perform_in(args[1], ids += 1) }
    when "enqueue_elsewhere_in" then Job.set(queue: "other").perform_in(args[0], ids += 1)
    when "put"
      args[0].each do |job|
        to = Job.set(queue: job["other"] ? "urgent" : "jobs")
        work = [job["id"], job["seconds"]]
        job["delay"] > 0 ? to.perform_in(job["delay"], *work) : to.perform_async(*work)
      end
    when "purge" then Sidekiq.redis(&:flushdb)
    end
    puts "null"
  end
end
