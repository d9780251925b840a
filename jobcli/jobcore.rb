# The formula of a Homebrew tap. `.ci/dist` fills in the checksums.
class Jobcore < Formula
  desc "Background jobs for coding agents and for people"
  homepage "https://github.com/jobcore/jobcore"
  version "0.1.0"
  license "MIT"
  depends_on :linux

  on_intel do
    url "https://github.com/jobcore/jobcore/releases/download/v0.1.0/jobcore-0.1.0-x86_64-unknown-linux-gnu.tar.gz"
    sha256 "@SHA256_X86_64@"
  end
  on_arm do
    url "https://github.com/jobcore/jobcore/releases/download/v0.1.0/jobcore-0.1.0-aarch64-unknown-linux-gnu.tar.gz"
    sha256 "@SHA256_AARCH64@"
  end

  def install
    bin.install "bin/jobcli", "bin/jobmcp"
    man1.install Dir["share/man/man1/*"]
    bash_completion.install "share/bash-completion/completions/jobcli"
    zsh_completion.install "share/zsh/site-functions/_jobcli"
    fish_completion.install "share/fish/vendor_completions.d/jobcli.fish"
  end

  test do
    assert_equal "hello\n", shell_output("#{bin}/jobcli --store #{testpath}/store run --follow echo hello")
  end
end
